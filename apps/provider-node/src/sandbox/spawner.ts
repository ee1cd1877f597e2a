import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { invariant, OrienError } from '@orien/protocol'
import { encodeOptions } from './arguments.ts'
import { connectFrames } from './frameQueue.ts'
import { cutFrames, frame } from './frames.ts'
import { SANDBOX_LIMITS } from './limits.ts'
import { randomName } from './names.ts'
import type { SandboxLaunch, SandboxProcess } from './sandboxProcess.ts'

const LAUNCH = 1
const KILL = 2
const LISTENING = 32
const STATUS = 33
const COMPLAINT = 34
const EXITED = 35
const KEEP_USER = 2n ** 64n - 1n

/** What is known of one sandbox that was launched and has not ended. */
type Launched = {
  status: string
  complaint: string
  initPid: PromiseWithResolvers<number | null>
  knownPid: number
  exited: PromiseWithResolvers<void>
  isAwake: boolean
}

/** The process under way. */
type Running = {
  child: ChildProcess
  control: Socket
  dirFd: number
  name: string
  listening: PromiseWithResolvers<boolean>
}

function encodeLaunch(id: bigint, { bwrapPath, files, options, uid }: SandboxLaunch): Uint8Array {
  const strings = encodeOptions([bwrapPath, files.seccomp, files.helper, files.passwd, files.group])
  const tail = Buffer.concat([strings, encodeOptions(options)])
  if (tail.length > SANDBOX_LIMITS.launchBytes)
    throw new OrienError('sandbox_unavailable', 'the sandbox shows too many paths')
  return frame(LAUNCH, [id, uid === undefined ? KEEP_USER : BigInt(uid)], tail)
}

function start(program: string, dir: string): Running {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const name = randomName()
  const child = spawn(program, [name], {
    cwd: dir,
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  child.on('error', () => {})
  const control = child.stdio[3]
  invariant(control instanceof Socket, 'spawn made every pipe')
  control.on('error', () => {})
  return { child, control, dirFd: openSync(dir, 'r'), name, listening: Promise.withResolvers() }
}

/** bubblewrap writes `{"child-pid": N, …}` on a line of its own as soon as the namespace exists. */
function readInitPid(sandbox: Launched, text: string): void {
  sandbox.status = (sandbox.status + text).slice(-SANDBOX_LIMITS.complaintBytes)
  const pid = Number(/"child-pid":\s*(\d+)/.exec(sandbox.status)?.[1] ?? 0)
  if (pid === 0) return
  sandbox.knownPid = pid
  sandbox.initPid.resolve(pid)
}

/** Starts sandboxes from a small process of its own, which is started on first use; see native/orien-spawn.c. */
export class Spawner {
  readonly #program: string
  readonly #dir: string
  readonly #launched = new Map<bigint, Launched>()
  #lastId = 0n
  #awake = 0
  #running: Running | undefined
  #ended: Promise<void> | undefined

  /** @param dir a directory of this node alone, for the socket; nothing in it outlives a start */
  constructor(program: string, dir: string) {
    this.#program = program
    this.#dir = dir
  }

  /** @throws OrienError `sandbox_unavailable` when the process cannot be started */
  async launch(launch: SandboxLaunch): Promise<SandboxProcess> {
    const running = this.#running ?? this.#start()
    if (!(await running.listening.promise))
      throw new OrienError('sandbox_unavailable', 'the process that starts sandboxes did not start')
    this.#lastId += 1n
    const id = this.#lastId
    const bytes = encodeLaunch(id, launch)
    const sandbox: Launched = {
      status: '',
      complaint: '',
      initPid: Promise.withResolvers(),
      knownPid: 0,
      exited: Promise.withResolvers(),
      isAwake: false,
    }
    this.#launched.set(id, sandbox)
    this.#setAwake(sandbox, true)
    return this.#connect(running, id, sandbox, bytes)
  }

  /** Ends it once every sandbox has ended. */
  async close(): Promise<void> {
    if (!this.#running) return
    const { child, control } = this.#running
    const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
    child.ref()
    control.ref()
    control.end()
    await Promise.all([gone, this.#ended])
  }

  #connect(
    { control, dirFd, name }: Running,
    id: bigint,
    sandbox: Launched,
    bytes: Uint8Array,
  ): SandboxProcess {
    // By the descriptor, because a socket's name may have no more than 107 bytes.
    const { channel, frames } = connectFrames(`/proc/self/fd/${dirFd}/${name}`)
    channel.on('error', () => {
      if (channel.connecting || channel.bytesRead === 0) this.#abandon(id)
    })
    channel.write(bytes)
    return {
      channel,
      frames,
      initPid: sandbox.initPid.promise,
      setAwake: (isAwake) => {
        if (isAwake) channel.ref()
        else channel.unref()
        if (this.#launched.has(id)) this.#setAwake(sandbox, isAwake)
      },
      complaint: () => sandbox.complaint.trim(),
      kill: () => {
        if (this.#launched.has(id)) control.write(frame(KILL, [id, BigInt(sandbox.knownPid)]))
      },
      exited: sandbox.exited.promise,
    }
  }

  #start(): Running {
    const running = start(this.#program, this.#dir)
    this.#running = running
    this.#ended = this.#listen(running)
    running.child.unref()
    return running
  }

  /** The control is awake while any sandbox is. */
  #setAwake(sandbox: Launched, isAwake: boolean): void {
    if (sandbox.isAwake === isAwake) return
    sandbox.isAwake = isAwake
    this.#awake += isAwake ? 1 : -1
    if (this.#awake === 0) this.#running?.control.unref()
    else if (isAwake && this.#awake === 1) this.#running?.control.ref()
  }

  /** The connection was refused: nothing was ever started for it. */
  #abandon(id: bigint): void {
    const sandbox = this.#launched.get(id)
    if (sandbox && sandbox.knownPid === 0) this.#end(id, sandbox)
  }

  #end(id: bigint, sandbox: Launched): void {
    this.#launched.delete(id)
    this.#setAwake(sandbox, false)
    sandbox.initPid.resolve(null)
    sandbox.exited.resolve()
  }

  #take(kind: number, payload: Buffer): void {
    const id = payload.readBigUInt64LE(0)
    const sandbox = this.#launched.get(id)
    if (!sandbox) return
    const said = payload.subarray(8)
    if (kind === STATUS) readInitPid(sandbox, said.toString('latin1'))
    else if (kind === COMPLAINT)
      sandbox.complaint = (sandbox.complaint + said.toString('utf8')).slice(0, SANDBOX_LIMITS.complaintBytes)
    else if (kind === EXITED) this.#end(id, sandbox)
  }

  /** Without that process no sandbox lives: bubblewrap dies with its parent. */
  async #listen({ child, control, dirFd, listening }: Running): Promise<void> {
    try {
      for await (const { kind, payload } of cutFrames(control)) {
        if (kind === LISTENING) listening.resolve(true)
        else this.#take(kind, payload)
      }
    } catch {
      // A reset says what the end says.
    }
    listening.resolve(false)
    this.#running = undefined
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    closeSync(dirFd)
    for (const [id, sandbox] of [...this.#launched]) {
      sandbox.complaint ||= 'the process that starts sandboxes ended'
      this.#end(id, sandbox)
    }
  }
}
