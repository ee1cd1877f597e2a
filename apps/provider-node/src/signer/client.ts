import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Hex, invariant, OrienError } from '@orien/protocol'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import {
  type SendRequest,
  type SignedBatch,
  type SignRequest,
  signerAnswer,
  signerRequest,
} from './request.ts'

/** What the node can have signed in its owner's name. The key is in another process. */
export type Operator = {
  address: Hex
  /** Signs those of the claims that are backed. @throws OrienError with the signer's code when it is no request */
  sign(request: SignRequest): Promise<SignedBatch>
  /** The same, and the transaction of the operator key that sends it. @throws OrienError as {@link sign} does */
  signSend(request: SendRequest): Promise<SignedBatch>
}

/** The signer's process, kept alive. */
export type Signer = Operator & {
  /** Of the process that serves now. */
  pid(): number | undefined
  stop(): Promise<void>
}

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
/** A signer that dies again and again is not started in a tight loop. */
const RESTART_MS = 100

type Waiting = { line: string; resolve(signed: SignedBatch): void; reject(error: unknown): void }
type Answer = ReturnType<typeof signerAnswer.parse>

type State = {
  dataDir: string
  clock: Clock
  log: Log
  waiting: Map<number, Waiting>
  child?: ChildProcess
  socket?: Socket
  address?: Hex
  isStopped: boolean
}

function readAnswer(line: string): Answer | null {
  try {
    return signerAnswer.safeDecode(JSON.parse(line)).data ?? null
  } catch {
    return null
  }
}

function settle({ waiting }: State, answer: Exclude<Answer, { ready: boolean }>): void {
  const asked = waiting.get(answer.id)
  waiting.delete(answer.id)
  if ('signed' in answer) asked?.resolve(answer.signed)
  else asked?.reject(new OrienError(answer.code, answer.detail))
}

/** Starts one process. @returns its address once it is ready */
function launch(state: State): Promise<Hex> {
  const ready = Promise.withResolvers<Hex>()
  // No environment, no terminal, and no debugger that a signal could open.
  const child = spawn(process.execPath, ['--disable-sigusr1', MAIN, state.dataDir], {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  })
  state.child = child
  const socket = child.stdio[3]
  invariant(socket instanceof Socket, 'the fourth descriptor is a socket')
  socket.on('error', () => {})
  const lines = createInterface({ input: socket })
  // It hands on what the socket suffers; the exit of the process says the same.
  lines.on('error', () => {})
  lines.on('line', (line) => {
    const answer = readAnswer(line)
    if (!answer) return
    if (!('ready' in answer)) return settle(state, answer)
    if (!answer.ready) return ready.reject(new OrienError(answer.code, answer.detail))
    state.socket = socket
    ready.resolve(answer.address as Hex)
    // What the one before was asked and has not answered; they are the same claims, so the same signature.
    for (const { line: request } of state.waiting.values()) socket.write(request)
  })
  child.once('error', () => ready.reject(new OrienError('setup_failed', 'the signer could not be started')))
  child.once('exit', (code, signal) => {
    delete state.socket
    ready.reject(new OrienError('setup_failed', 'the signer ended before it was ready'))
    if (state.isStopped || state.address === undefined) return
    state.log.error({ event: 'signer.died', exitCode: code, signal })
    state.clock.after(RESTART_MS, () => restart(state))
  })
  return ready.promise
}

function restart(state: State): void {
  if (state.isStopped) return
  launch(state).then(
    () => state.log.info({ event: 'signer.restarted' }),
    (error: unknown) => state.log.error({ event: 'signer.unstartable', err: error }),
  )
}

/**
 * Starts the process that holds the operator key, and starts it again whenever it dies; what was asked of it meanwhile
 * is answered then.
 *
 * @throws OrienError `setup_failed` when the key is absent or open to others
 */
export async function openSigner(given: { dataDir: string; clock: Clock; log: Log }): Promise<Signer> {
  const state: State = { ...given, waiting: new Map(), isStopped: false }
  const address = await launch(state)
  state.address = address
  let lastId = 0
  const ask = (request: SignRequest | SendRequest) => {
    const { promise, resolve, reject } = Promise.withResolvers<SignedBatch>()
    lastId += 1
    const line = `${JSON.stringify(signerRequest.encode({ id: lastId, request }))}\n`
    state.waiting.set(lastId, { line, resolve, reject })
    state.socket?.write(line)
    return promise
  }
  return {
    address,
    pid: () => state.child?.pid,
    sign: ask,
    signSend: ask,
    stop: async () => {
      state.isStopped = true
      const { child } = state
      const exited = new Promise((resolve) => child?.once('exit', resolve))
      const hasEnded = child?.exitCode !== null || child.signalCode !== null
      child?.stdio[3]?.destroy()
      if (!hasEnded) await exited
      const over = new OrienError('setup_failed', 'the signer was stopped')
      for (const { reject } of state.waiting.values()) reject(over)
    },
  }
}
