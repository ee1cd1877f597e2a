import { OrienError } from '@orien/protocol'
import type { CgroupReading } from './cgroup.ts'
import { encodeExtend, encodeInput, encodeKill, encodeRequest, type HelperReport } from './channel.ts'
import type { SlotContext } from './context.ts'
import type { OutputChunk, Run, RunFacts, RunSpec, Stop } from './driver.ts'
import { concludeRun } from './facts.ts'
import { SANDBOX_LIMITS } from './limits.ts'
import { createOutputSink } from './output.ts'
import type { Loan, Pool } from './pool.ts'
import { toNs } from './request.ts'
import { untilDead } from './sandboxProcess.ts'
import { type Slot, withoutPaths } from './slot.ts'

type OnOutput = (chunk: OutputChunk) => void | Promise<void>

/** The pool once there is one, or why there is none. */
export type Ready = { ok: true; pool: Pool; context: SlotContext } | { ok: false; detail: string }

const NS_PER_MS = 1_000_000
const NS_PER_MICRO = 1_000n

/** Everything that changes while a run is under way. */
type Progress = {
  loan?: Loan
  /** The helper has the request and obeys frames. */
  requested: boolean
  /** The sandbox may be somebody else's by now: nothing is said to it any more. */
  isOver: boolean
  startNs?: bigint
  deadlineMs: number
  nodeStop?: Stop
  nodeStopNs?: bigint
  report?: HelperReport
  detail?: string
  timer?: NodeJS.Timeout
  /** How much of its input the tool was given. */
  fedBytes: number
}

/** Runs one command in a sandbox of the pool. */
export function startRun(ready: Promise<Ready>, spec: RunSpec, onOutput: OnOutput): Run {
  const progress: Progress = { requested: false, isOver: false, deadlineMs: spec.deadlineMs, fedBytes: 0 }
  const started = Promise.withResolvers<number>()
  const finished = conduct(ready, spec, onOutput, progress, started.resolve)
  return {
    started: started.promise,
    finished,
    kill: (stop) => {
      if (progress.nodeStop || progress.isOver) return
      decide(progress, stop)
      // A sandbox that is not ready yet is given back in `conduct` as soon as it is.
      if (!progress.requested) return
      progress.loan?.slot.sandbox.channel.write(encodeKill(stop))
      arm(progress, SANDBOX_LIMITS.backstopMs)
    },
    extend: (deadlineMs) => {
      if (deadlineMs <= progress.deadlineMs || progress.isOver) return
      progress.deadlineMs = deadlineMs
      if (progress.requested) progress.loan?.slot.sandbox.channel.write(encodeExtend(toNs(deadlineMs)))
      if (progress.startNs !== undefined && !progress.nodeStop) watchTime(progress, spec)
    },
  }
}

function decide(progress: Progress, stop: Stop): void {
  progress.nodeStop ??= stop
  progress.nodeStopNs ??= process.hrtime.bigint()
}

/** Kills the namespace from outside when the helper has not done it from inside by then. */
function arm(progress: Progress, delayMs: number): void {
  clearTimeout(progress.timer)
  const fire = () => {
    progress.loan?.slot.cgroup?.kill()
    progress.loan?.slot.sandbox.kill()
  }
  if (delayMs === 0) fire()
  else progress.timer = setTimeout(fire, delayMs)
}

/** The helper keeps the time; this only makes sure that a helper which cannot run does not prolong a tool's life. */
function watchTime(progress: Progress, spec: RunSpec): void {
  const limitMs = Math.min(spec.limits.timeMs, progress.deadlineMs)
  const usedMs = Number(process.hrtime.bigint() - (progress.startNs ?? 0n)) / NS_PER_MS
  clearTimeout(progress.timer)
  progress.timer = setTimeout(
    () => {
      decide(progress, progress.deadlineMs < spec.limits.timeMs ? 'deadline' : 'time_limit')
      arm(progress, 0)
    },
    Math.max(0, limitMs - usedMs) + SANDBOX_LIMITS.backstopMs,
  )
}

async function conduct(
  ready: Promise<Ready>,
  spec: RunSpec,
  onOutput: OnOutput,
  progress: Progress,
  onStarted: (agoMs: number) => void,
): Promise<RunFacts> {
  const sink = createOutputSink(spec.limits.outputBytes, onOutput)
  try {
    const result = await ready
    if (!result.ok) throw new OrienError('sandbox_unavailable', result.detail)
    const { requestOf, cgroups } = result.context
    const request = encodeRequest(requestOf(spec, progress.deadlineMs, cgroups !== undefined))
    progress.loan = await result.pool.take(spec)
    if (!progress.nodeStop)
      await converse(progress.loan.slot, request, spec, progress, sink.deliver, onStarted)
  } catch (error) {
    progress.detail ??= error instanceof OrienError ? error.message : 'the run broke off'
    decide(progress, 'sandbox_error')
    arm(progress, 0)
  }
  const cgroup = await takeDown(progress)
  const { report, nodeStop, detail, startNs } = progress
  const stoppedNs = progress.nodeStopNs ?? process.hrtime.bigint()
  const facts = concludeRun({
    ...(report ? { report } : {}),
    ...(cgroup ? { cgroup } : {}),
    ...(nodeStop ? { nodeStop } : {}),
    ...(detail ? { detail } : {}),
    elapsedMicros: startNs === undefined ? 0 : Number((stoppedNs - startNs) / NS_PER_MICRO),
    limitMs: spec.limits.timeMs,
    deadlineMs: progress.deadlineMs,
  })
  // Given back by what is told of the run, so that nobody inherits a sandbox that anything went wrong in.
  const isClean = facts.stop === 'exit' && report?.stop === 'none' && !nodeStop
  progress.loan?.giveBack(progress.requested ? (isClean ? 'clean' : 'spent') : 'unused')
  return { ...facts, ...sink.finish() }
}

/** With a report every process of the run is dead; without one, that is waited for. */
async function takeDown(progress: Progress): Promise<CgroupReading | undefined> {
  const { loan, report, requested } = progress
  if (!loan || !requested) return undefined
  const { sandbox, initPid, cgroup } = loan.slot
  if (!report) {
    await sandbox.exited
    // Killed from outside, bubblewrap is gone some milliseconds before the namespace is.
    await untilDead(initPid)
  }
  progress.isOver = true
  clearTimeout(progress.timer)
  try {
    return cgroup?.read()
  } catch {
    return undefined
  }
}

/** The next piece of the tool's input, and then its end. */
function nextPiece({ stdin = new Uint8Array() }: RunSpec, progress: Progress): Uint8Array {
  const piece = stdin.subarray(progress.fedBytes, progress.fedBytes + SANDBOX_LIMITS.inputBytes)
  progress.fedBytes += piece.length
  return encodeInput(piece)
}

function begin(slot: Slot, request: Uint8Array, spec: RunSpec, progress: Progress): void {
  slot.cgroup?.limit(spec.limits)
  slot.runs += 1
  progress.requested = true
  const said = [request]
  // The deadline may have moved while the sandbox was made.
  if (progress.deadlineMs !== spec.deadlineMs) said.push(encodeExtend(toNs(progress.deadlineMs)))
  if (spec.stdin?.length) said.push(nextPiece(spec, progress))
  slot.sandbox.channel.write(said.length === 1 ? request : Buffer.concat(said))
}

async function converse(
  slot: Slot,
  request: Uint8Array,
  spec: RunSpec,
  progress: Progress,
  deliver: (chunk: OutputChunk) => Promise<boolean>,
  onStarted: (agoMs: number) => void,
): Promise<void> {
  begin(slot, request, spec, progress)
  progress.timer = setTimeout(() => {
    progress.detail = 'the tool was not started in time'
    decide(progress, 'sandbox_error')
    arm(progress, 0)
  }, SANDBOX_LIMITS.setUpMs)
  for (;;) {
    const frame = await slot.sandbox.frames.next()
    if (!frame) break
    if (frame.kind === 'started') {
      progress.startNs = frame.startNs
      if (!progress.nodeStop) watchTime(progress, spec)
      onStarted(Number(process.hrtime.bigint() - frame.startNs) / NS_PER_MS)
    } else if (frame.kind === 'output') {
      await deliver({ stream: frame.stream, bytes: frame.bytes })
    } else if (frame.kind === 'want') {
      slot.sandbox.channel.write(nextPiece(spec, progress))
    } else if (frame.kind === 'done') {
      progress.report = frame.report
      progress.isOver = true
      return
    } else if (frame.kind === 'failed') {
      throw new OrienError('tool_failed', describeFailure(frame.step, frame.errno))
    }
  }
  await slot.sandbox.exited
  if (!progress.nodeStop)
    progress.detail = withoutPaths(slot.sandbox.complaint()) || 'the sandbox ended early'
}

const ENOENT = 2
const EACCES = 13
const ENOEXEC = 8

function describeFailure(step: number, errno: number): string {
  if (step !== 3) return `the helper could not start the tool (step ${step}, errno ${errno})`
  if (errno === ENOENT) return 'the executable, or the loader that it names, is not there'
  if (errno === EACCES) return 'the executable may not be executed'
  return errno === ENOEXEC
    ? 'the executable is of another kind of machine'
    : `exec failed with errno ${errno}`
}
