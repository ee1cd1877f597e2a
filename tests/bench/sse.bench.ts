import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { BenchResult, BenchRow } from './row.ts'
import type { FromClient, ServerMemory, ServerReady, ToClient, ToServer } from './sse/messages.ts'

const WANTED = 10_000
const CLIENT_PROCESSES = 2
const EVENTS = 10
/** Descriptors that a server needs besides its readers. */
const SPARE_DESCRIPTORS = 500

type Figures = { readers: number; rssBytes: number; heapBytes: number; messagesPerSecond: number }

/** Node raises the soft limit to the hard one by itself, so only the hard one bounds us. */
function affordableReaders(): number {
  const line = /^Max open files +\S+ +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  const descriptors = line === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line)
  return Math.min(WANTED, descriptors - SPARE_DESCRIPTORS)
}

const start = (name: string, ...execArgv: string[]) =>
  fork(fileURLToPath(new URL(`./sse/${name}.ts`, import.meta.url)), { execArgv, stdio: 'inherit' })

function next<T extends object>(child: ChildProcess, key: keyof T & string): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) =>
      reject(new TypeError(`a process of the benchmark ended with ${code}`))
    const onMessage = (message: object) => {
      if (!(key in message)) return
      child.off('exit', onExit).off('message', onMessage)
      resolve(message as T)
    }
    child.on('exit', onExit).on('message', onMessage)
  })
}

const tell = (child: ChildProcess, message: ToServer | ToClient) => void child.send(message)

async function memoryOf(server: ChildProcess): Promise<ServerMemory['memory']> {
  const answer = next<ServerMemory>(server, 'memory')
  tell(server, { ask: 'memory' })
  return (await answer).memory
}

/** @returns milliseconds until every reader has the last of the events */
async function fanOut(server: ChildProcess, clients: ChildProcess[], mark: string): Promise<number> {
  const seen = clients.map((client) => next<Extract<FromClient, { seen: string }>>(client, 'seen'))
  for (const client of clients) tell(client, { ask: 'await', mark })
  const startedMs = performance.now()
  tell(server, { ask: 'publish', events: EVENTS, mark })
  await Promise.all(seen)
  return performance.now() - startedMs
}

async function measure(serverName: string): Promise<Figures> {
  const server = start(serverName, '--expose-gc')
  const clients = Array.from({ length: CLIENT_PROCESSES }, () => start('clients'))
  try {
    const { ready } = await next<ServerReady>(server, 'ready')
    const before = await memoryOf(server)
    const readers = affordableReaders()
    const opened = clients.map((client) => next<Extract<FromClient, { opened: number }>>(client, 'opened'))
    for (const client of clients) tell(client, { ask: 'open', count: readers / CLIENT_PROCESSES, ...ready })
    await Promise.all(opened)
    const after = await memoryOf(server)
    await fanOut(server, clients, '700000000001')
    const tookMs = await fanOut(server, clients, '800000000002')
    return {
      readers,
      rssBytes: (after.rssBytes - before.rssBytes) / readers,
      heapBytes: (after.heapBytes - before.heapBytes) / readers,
      messagesPerSecond: ((readers * EVENTS) / tookMs) * 1_000,
    }
  } finally {
    for (const child of [server, ...clients]) if (child.connected) child.disconnect()
  }
}

let figures: Promise<{ subject: Figures; reference: Figures }> | null = null

/** All rows are of one run: ten thousand connections twice are enough. */
function measured(): Promise<{ subject: Figures; reference: Figures }> {
  figures ??= measure('bareServer').then(async (reference) => ({
    subject: await measure('coordinatorServer'),
    reference,
  }))
  return figures
}

async function row(of: Exclude<keyof Figures, 'readers'>, unit: string, scale: number): Promise<BenchResult> {
  const { subject, reference } = await measured()
  const note = `${subject.readers} readers of one session`
  return { value: subject[of] / scale, referenceValue: reference[of] / scale, unit, note }
}

const reference = 'a bare node:http server with as many open responses'

export const rows: BenchRow[] = [
  {
    name: 'idle event streams: resident memory a reader',
    reference,
    better: 'lower',
    target: { ratio: 0.5 },
    run: () => row('rssBytes', 'KiB', 1_024),
  },
  {
    name: 'idle event streams: heap a reader',
    reference,
    better: 'lower',
    target: { ratio: 0.5 },
    run: () => row('heapBytes', 'KiB', 1_024),
  },
  {
    name: 'event streams: fan-out of events to all readers',
    reference,
    better: 'higher',
    target: { ratio: 0.5 },
    run: () => row('messagesPerSecond', 'messages/s', 1),
  },
]
