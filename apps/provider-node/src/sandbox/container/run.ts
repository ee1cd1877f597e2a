import { constants } from 'node:os'
import { OrienError } from '@orien/protocol'
import { checkCommandLine } from '../commandLine.ts'
import type { Driver, Run, RunFacts, RunSpec, Stop } from '../driver.ts'
import { decodeWaitStatus } from '../facts.ts'
import { createOutputSink, type OutputSink } from '../output.ts'
import { type Attached, attach, type Engine } from './engine.ts'
import { readEngineFrames } from './frames.ts'
import { type ContainerSetting, containerOptions } from './options.ts'

/** What a run needs of its driver. */
export type ContainerContext = {
  engine: Engine
  setting: ContainerSetting
  userFor(workspaceDir: string): number
}

type Progress = {
  attached?: Attached
  startNs?: bigint
  stop: Stop
  stopNs?: bigint
  deadlineMs: number
  timer?: NodeJS.Timeout
  detail?: string
}

const NS_PER_MICRO = 1_000n
const NS_PER_MS = 1_000_000
/** Engines tell a death by signal as 128 and its number, as shells do; a tool that exits so looks the same. */
const SIGNAL_BASE = 128

function end(progress: Progress, stop: Stop): void {
  if (progress.stop !== 'exit') return
  progress.stop = stop
  progress.stopNs = process.hrtime.bigint()
  if (progress.startNs !== undefined) progress.attached?.container.kill({ signal: 'SIGKILL' }).catch(() => {})
}

function watchTime(progress: Progress, spec: RunSpec): void {
  if (progress.startNs === undefined) return
  const usedMs = Number(process.hrtime.bigint() - progress.startNs) / NS_PER_MS
  const leftMs = Math.min(spec.limits.timeMs, progress.deadlineMs) - usedMs
  clearTimeout(progress.timer)
  if (leftMs <= 0) {
    end(progress, progress.deadlineMs < spec.limits.timeMs ? 'deadline' : 'time_limit')
    return
  }
  progress.timer = setTimeout(() => watchTime(progress, spec), Math.ceil(leftMs))
}

async function converse(
  progress: Progress,
  { stream, status, container }: Attached,
  spec: RunSpec,
  sink: OutputSink,
  onStarted: () => void,
): Promise<number> {
  await container.start()
  progress.startNs = process.hrtime.bigint()
  watchTime(progress, spec)
  onStarted()
  stream.on('error', () => {})
  stream.end(spec.stdin ?? new Uint8Array())
  for await (const chunk of readEngineFrames(stream as AsyncIterable<unknown>))
    if (!(await sink.deliver(chunk))) end(progress, 'output_limit')
  return status
}

/** What is known of a run that has ended. Processor time and memory are not told by an engine after the death. */
function conclude(
  progress: Progress,
  spec: RunSpec,
  sink: OutputSink,
  ending: { status?: number; oomKilled: boolean },
): RunFacts {
  const { startNs, stopNs } = progress
  const endNs = process.hrtime.bigint()
  const cutMicros = Math.floor(Math.min(spec.limits.timeMs, progress.deadlineMs) * 1_000)
  const stop = progress.stop === 'exit' && ending.oomKilled ? 'out_of_memory' : progress.stop
  const ran = stop !== 'sandbox_error' && startNs !== undefined
  const status = ending.status ?? SIGNAL_BASE + constants.signals.SIGKILL
  const isSignal = status > SIGNAL_BASE
  const decoded = decodeWaitStatus(isSignal ? status - SIGNAL_BASE : status << 8)
  return {
    stop,
    ...(ran ? decoded : { exitCode: null, signal: null }),
    effectiveMicros: ran ? Math.min(Number(((stopNs ?? endNs) - startNs) / NS_PER_MICRO), cutMicros) : 0,
    lifeMs: ran ? Math.ceil(Number(endNs - startNs) / NS_PER_MS) : 0,
    cpuMicros: 0,
    maxRssBytes: 0,
    sources: { wall: 'node', cpu: 'node', memory: 'node' },
    ...(stop === 'sandbox_error' ? { detail: progress.detail ?? 'the container could not be run' } : {}),
    ...sink.finish(),
  }
}

async function conduct(
  ready: Promise<ContainerContext>,
  progress: Progress,
  spec: RunSpec,
  sink: OutputSink,
  onStarted: () => void,
): Promise<RunFacts> {
  let status: number | undefined
  let oomKilled = false
  try {
    checkCommandLine(spec)
    const { engine, setting, userFor } = await ready
    if (progress.stop !== 'exit') return conclude(progress, spec, sink, { oomKilled })
    progress.attached = await attach(engine, containerOptions(spec, setting, userFor(spec.workspaceDir)))
    if (progress.stop === 'exit') {
      status = await converse(progress, progress.attached, spec, sink, onStarted)
      oomKilled = (await progress.attached.container.inspect()).State.OOMKilled
    }
  } catch (error) {
    // An engine's own words name paths of the host.
    progress.detail = error instanceof OrienError ? error.message : 'the engine refused the container'
    end(progress, 'sandbox_error')
  }
  clearTimeout(progress.timer)
  // A label remembers what cannot be removed now.
  await progress.attached?.container.remove({ force: true, v: true }).catch(() => {})
  return conclude(progress, spec, sink, { oomKilled, ...(status === undefined ? {} : { status }) })
}

/** Runs one command in a container of its own. */
export function startContainerRun(
  ready: Promise<ContainerContext>,
  spec: RunSpec,
  onOutput: Parameters<Driver['run']>[1],
): Run {
  const progress: Progress = { stop: 'exit', deadlineMs: spec.deadlineMs }
  const started = Promise.withResolvers<void>()
  const sink = createOutputSink(spec.limits.outputBytes, onOutput)
  return {
    started: started.promise,
    finished: conduct(ready, progress, spec, sink, started.resolve),
    kill: (stop) => end(progress, stop),
    extend: (deadlineMs) => {
      if (deadlineMs <= progress.deadlineMs) return
      progress.deadlineMs = deadlineMs
      watchTime(progress, spec)
    },
  }
}
