import { invariant, type MovedBytes } from '@orien/protocol'
import { checkCommandLine } from './commandLine.ts'
import { frame, type RawFrame } from './frames.ts'

/** What the helper is asked to run; the layout of `struct request` in native/orien-init.c. */
export type HelperRequest = {
  limitNs: bigint
  deadlineNs: bigint
  outputBytes: number
  processes: number
  openFiles: number
  fileBytes: number
  /** What the helper watches the whole tree's memory for; 0 leaves it to a cgroup. */
  memoryBytes: number
  /** Whether input frames follow; without one the tool's input ends at once. */
  hasInput: boolean
  argv: readonly string[]
  env: Readonly<Record<string, string>>
}

/** The helper's account of a run; `struct report`. Instants are CLOCK_MONOTONIC, the clock of `process.hrtime`. */
export type HelperReport = {
  startNs: bigint
  endNs: bigint
  /** When the helper decided to stop the tool; 0 when it ended by itself. */
  stopNs: bigint
  cpuMicros: number
  /** The helper's own processor time since it took the request: inside the cgroup, but not the tool's. */
  ownCpuMicros: number
  maxRssBytes: number
  outputBytes: number
  waitStatus: number
  stop: (typeof STOPS)[number]
  diskFull: boolean
  /** Of the whole tree; absent where the kernel does not count it. */
  io?: MovedBytes
}

/** One message of the helper. */
export type Frame =
  | { kind: 'ready' }
  | { kind: 'started'; startNs: bigint }
  | { kind: 'output'; stream: 'stdout' | 'stderr'; bytes: Uint8Array }
  | { kind: 'done'; report: HelperReport }
  | { kind: 'failed'; step: number; errno: number }
  /** The tool has taken all input so far. */
  | { kind: 'want' }

const RUN = 1
const EXTEND = 2
const KILL = 3
const INPUT = 4
const EMPTY = 5
const READY = 16
const STARTED = 17
const STDOUT = 18
const STDERR = 19
const DONE = 20
const FAILED = 21
const WANT = 22

const REQUEST_FIELDS = 10
const REPORT_FIELDS = 13
const STOPS = ['none', 'time_limit', 'deadline', 'cancelled', 'output_limit', 'out_of_memory'] as const

/**
 * The request as one frame.
 *
 * @throws OrienError `validation_failed` for what execve(2) would refuse or cut: NUL, lone surrogates, over-long elements
 */
export function encodeRequest(request: HelperRequest): Uint8Array {
  const { strings, environment } = checkCommandLine(request)
  const tail = Buffer.from(strings.map((text) => `${text}\0`).join(''))
  const fields = [
    request.limitNs,
    request.deadlineNs,
    ...[
      request.outputBytes,
      request.processes,
      request.openFiles,
      request.fileBytes,
      request.memoryBytes,
    ].map(BigInt),
    request.hasInput ? 1n : 0n,
    BigInt(request.argv.length),
    BigInt(environment.length),
  ]
  invariant(fields.length === REQUEST_FIELDS, 'the request has the fields of struct request')
  return frame(RUN, fields, tail)
}

/** Moves the deadline to `deadlineNs` after exec. */
export const encodeExtend = (deadlineNs: bigint): Uint8Array => frame(EXTEND, [deadlineNs])

/** The next piece of input, sent when it is wanted; an empty one is the end. */
export const encodeInput = (bytes: Uint8Array): Uint8Array => frame(INPUT, [], bytes)

/** Asks a helper whose run is over to take away what it left, and to get ready for another. */
export const encodeEmpty = (): Uint8Array => frame(EMPTY, [])

/** Stops the tool for a reason that only the node can know. */
export const encodeKill = (stop: 'deadline' | 'cancelled'): Uint8Array =>
  frame(KILL, [BigInt(STOPS.indexOf(stop))])

function decodeReport(payload: Uint8Array): HelperReport {
  invariant(payload.length === REPORT_FIELDS * 8, 'the report has the fields of struct report')
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const instant = (index: number) => view.getBigUint64(index * 8, true)
  const number = (index: number) => Number(instant(index))
  return {
    startNs: instant(0),
    endNs: instant(1),
    stopNs: instant(2),
    cpuMicros: number(3),
    ownCpuMicros: number(4),
    maxRssBytes: number(5),
    outputBytes: number(6),
    waitStatus: number(7),
    stop: STOPS[number(8)] ?? 'none',
    diskFull: number(9) !== 0,
    ...(number(12) === 0 ? {} : { io: { readBytes: number(10), writtenBytes: number(11) } }),
  }
}

/** @throws InvariantError for what no helper says */
export function decodeFrame({ kind, payload }: RawFrame): Frame {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  switch (kind) {
    case READY:
      return { kind: 'ready' }
    case STARTED:
      return { kind: 'started', startNs: view.getBigUint64(0, true) }
    case STDOUT:
      return { kind: 'output', stream: 'stdout', bytes: Buffer.from(payload) }
    case STDERR:
      return { kind: 'output', stream: 'stderr', bytes: Buffer.from(payload) }
    case DONE:
      return { kind: 'done', report: decodeReport(payload) }
    case WANT:
      return { kind: 'want' }
    default:
      invariant(kind === FAILED, 'the helper sends only frames of its table')
      return { kind: 'failed', step: number64(view, 0), errno: number64(view, 8) }
  }
}

const number64 = (view: DataView, at: number): number => Number(view.getBigUint64(at, true))
