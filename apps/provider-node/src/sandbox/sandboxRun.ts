import { OrienError } from '@orien/protocol'
import { bubblewrapOptions, runtimePaths } from './arguments.ts'
import type { CgroupReading, RunCgroup } from './cgroup.ts'
import { encodeExtend, encodeKill, encodeRequest, type HelperReport, readFrames } from './channel.ts'
import type { RunContext, SetUp } from './context.ts'
import type { OutputChunk, Run, RunFacts, RunSpec, Stop } from './driver.ts'
import { concludeRun } from './facts.ts'
import { SANDBOX_LIMITS } from './limits.ts'
import { createOutputSink } from './output.ts'
import { type SandboxProcess, spawnSandbox, untilDead } from './sandboxProcess.ts'

type OnOutput = (chunk: OutputChunk) => void | Promise<void>

const NS_PER_MS = 1_000_000
const NS_PER_MICRO = 1_000n
const toNs = (ms: number): bigint => BigInt(Math.round(ms * NS_PER_MS))

/** Everything that changes while a run is under way. */
type Progress = {
  workspace?: { path: string; release(): Promise<void> }
  sandbox?: SandboxProcess
  cgroup?: RunCgroup
  /** The helper has the request and obeys frames. */
  requested: boolean
  startNs?: bigint
  deadlineMs: number
  nodeStop?: Stop
  nodeStopNs?: bigint
  report?: HelperReport
  detail?: string
  timer?: NodeJS.Timeout
}

/** Starts one fresh sandbox for one command. */
export function startRun(ready: Promise<SetUp>, spec: RunSpec, onOutput: OnOutput): Run {
  const progress: Progress = { requested: false, deadlineMs: spec.deadlineMs }
  const started = Promise.withResolvers<void>()
  const finished = conduct(ready, spec, onOutput, progress, started.resolve)
  return {
    started: started.promise,
    finished,
    kill: (stop) => {
      if (progress.nodeStop) return
      decide(progress, stop)
      // bubblewrap ties its child's life to its own only at the end of the set-up: killed before that, it would leave
      // an orphan. A sandbox that is not ready yet is given up in `converse` as soon as it is.
      if (!progress.requested) return
      progress.sandbox?.channel.write(encodeKill(stop))
      arm(progress, SANDBOX_LIMITS.backstopMs)
    },
    extend: (deadlineMs) => {
      if (deadlineMs <= progress.deadlineMs) return
      progress.deadlineMs = deadlineMs
      if (progress.requested) progress.sandbox?.channel.write(encodeExtend(toNs(deadlineMs)))
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
    progress.cgroup?.kill()
    progress.sandbox?.kill()
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
  ready: Promise<SetUp>,
  spec: RunSpec,
  onOutput: OnOutput,
  progress: Progress,
  onStarted: () => void,
): Promise<RunFacts> {
  const sink = createOutputSink(spec.limits.outputBytes, onOutput)
  try {
    const result = await ready
    if (!result.ok) throw new OrienError('sandbox_unavailable', result.refusal.detail)
    const request = await prepare(result.context, spec, progress)
    const { sandbox } = progress
    if (sandbox) await converse(sandbox, request, spec, progress, sink.deliver, onStarted)
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
  return { ...facts, ...sink.finish() }
}

/** What cannot be removed now is in a journal and is removed at the next start: no reason to fail a finished run. */
async function takeDown(progress: Progress): Promise<CgroupReading | undefined> {
  const { sandbox, cgroup, workspace } = progress
  await sandbox?.exited
  // Killed from outside, bubblewrap is gone some milliseconds before the namespace is.
  if (!progress.report) await untilDead(await sandbox?.initPid)
  clearTimeout(progress.timer)
  const reading = await Promise.resolve(cgroup?.read()).catch(() => undefined)
  await Promise.allSettled([cgroup?.remove(), workspace?.release()])
  return reading
}

async function prepare(context: RunContext, spec: RunSpec, progress: Progress): Promise<Uint8Array> {
  const { limits } = spec
  const request = encodeRequest({
    limitNs: toNs(limits.timeMs),
    deadlineNs: toNs(progress.deadlineMs),
    outputBytes: limits.outputBytes,
    // The helper counts as one of the sandbox's processes.
    processes: limits.processes + 1,
    openFiles: SANDBOX_LIMITS.openFiles,
    fileBytes: limits.diskBytes ?? SANDBOX_LIMITS.diskBytes,
    memoryBytes: context.cgroups ? 0 : limits.memoryBytes,
    argv: spec.argv,
    env: spec.env,
  })
  const uid = context.uidFor(spec.workspaceDir)
  progress.workspace = await context.reach.passing(spec.workspaceDir)
  const runtime = await Promise.all(
    runtimePaths(spec, context.layout).map(async (path) => ({
      path,
      source: await context.reach.lasting(path),
    })),
  )
  if (progress.nodeStop) return request
  if (context.cgroups) progress.cgroup = context.cgroups.create(limits)
  progress.sandbox = spawnSandbox({
    bwrapPath: context.bwrapPath,
    options: bubblewrapOptions(spec, progress.workspace.path, runtime, context.layout),
    files: context.files,
    ...(uid === undefined ? {} : { uid }),
  })
  return request
}

async function converse(
  sandbox: SandboxProcess,
  request: Uint8Array,
  spec: RunSpec,
  progress: Progress,
  deliver: (chunk: OutputChunk) => Promise<boolean>,
  onStarted: () => void,
): Promise<void> {
  progress.timer = setTimeout(() => {
    progress.detail = 'the sandbox was not ready in time'
    decide(progress, 'sandbox_error')
    arm(progress, 0)
  }, SANDBOX_LIMITS.setUpMs)
  for await (const frame of readFrames(sandbox.channel)) {
    if (frame.kind === 'ready') {
      await release(sandbox, request, spec, progress)
      // Leaving closes the channel, and a helper without a channel ends.
      if (!progress.requested) return
    } else if (frame.kind === 'started') {
      progress.startNs = frame.startNs
      if (!progress.nodeStop) watchTime(progress, spec)
      onStarted()
    } else if (frame.kind === 'output') {
      await deliver({ stream: frame.stream, bytes: frame.bytes })
    } else if (frame.kind === 'done') {
      progress.report = frame.report
      return
    } else {
      throw new OrienError('tool_failed', describeFailure(frame.step, frame.errno))
    }
  }
  await sandbox.exited
  if (!progress.nodeStop) progress.detail = withoutPaths(sandbox.complaint()) || 'the sandbox ended early'
}

/** The cgroup is joined after set-up and before release: what is counted is the tool and nothing else. */
async function release(
  sandbox: SandboxProcess,
  request: Uint8Array,
  spec: RunSpec,
  progress: Progress,
): Promise<void> {
  if (progress.cgroup) {
    const pid = await sandbox.initPid
    if (pid === null) throw new OrienError('sandbox_unavailable', 'the sandbox has no process')
    progress.cgroup.join(pid)
  }
  if (progress.nodeStop) return
  sandbox.channel.write(request)
  progress.requested = true
  sandbox.stdin.end(spec.stdin ?? new Uint8Array())
}

/** bubblewrap names host paths when it refuses; a stranger gets the reason without them. */
const withoutPaths = (complaint: string): string =>
  complaint.replaceAll(/\/[^\s:'"]*/g, '(path)').slice(0, 200)

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
