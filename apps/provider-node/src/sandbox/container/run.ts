import { constants } from 'node:os'
import { OrienError } from '@orien/protocol'
import { checkCommandLine } from '../commandLine.ts'
import type { Driver, Run, RunFacts, RunSpec } from '../driver.ts'
import { decodeWaitStatus } from '../facts.ts'
import { createOutputSink, type OutputSink } from '../output.ts'
import { RunTimer } from '../runTimer.ts'
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
  timer: RunTimer
  attached?: Attached
  /** There is something to kill. */
  isStarted: boolean
  detail?: string
}

/** Engines tell a death by signal as 128 and its number, as shells do; a tool that exits so looks the same. */
const SIGNAL_BASE = 128

async function converse(
  progress: Progress,
  { stream, status, container }: Attached,
  spec: RunSpec,
  sink: OutputSink,
  onStarted: () => void,
): Promise<number> {
  await container.start()
  progress.isStarted = true
  progress.timer.begin()
  onStarted()
  stream.on('error', () => {})
  stream.end(spec.stdin ?? new Uint8Array())
  for await (const chunk of readEngineFrames(stream as AsyncIterable<unknown>))
    if (!(await sink.deliver(chunk))) progress.timer.end('output_limit')
  return status
}

/** What is known of a run that has ended. Processor time and memory are not told by an engine after the death. */
function conclude(
  { timer, isStarted, detail }: Progress,
  sink: OutputSink,
  ending: { status?: number; oomKilled: boolean },
): RunFacts {
  const stop = timer.stop === 'exit' && ending.oomKilled ? 'out_of_memory' : timer.stop
  const failed = stop === 'sandbox_error'
  const status = ending.status ?? SIGNAL_BASE + constants.signals.SIGKILL
  const isSignal = status > SIGNAL_BASE
  const decoded = decodeWaitStatus(isSignal ? status - SIGNAL_BASE : status << 8)
  return {
    stop,
    ...(isStarted && !failed ? decoded : { exitCode: null, signal: null }),
    ...timer.facts(stop),
    cpuMicros: 0,
    maxRssBytes: 0,
    sources: { wall: 'node', cpu: 'node', memory: 'node' },
    ...(failed ? { detail: detail ?? 'the container could not be run' } : {}),
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
    if (progress.timer.stop !== 'exit') return conclude(progress, sink, { oomKilled })
    progress.attached = await attach(engine, containerOptions(spec, setting, userFor(spec.workspaceDir)))
    if (progress.timer.stop === 'exit') {
      status = await converse(progress, progress.attached, spec, sink, onStarted)
      oomKilled = (await progress.attached.container.inspect()).State.OOMKilled
    }
  } catch (error) {
    // An engine's own words name paths of the host.
    progress.detail = error instanceof OrienError ? error.message : 'the engine refused the container'
    progress.timer.end('sandbox_error')
  }
  progress.timer.close()
  // A label remembers what cannot be removed now.
  await progress.attached?.container.remove({ force: true, v: true }).catch(() => {})
  return conclude(progress, sink, { oomKilled, ...(status === undefined ? {} : { status }) })
}

/** Runs one command in a container of its own. */
export function startContainerRun(
  ready: Promise<ContainerContext>,
  spec: RunSpec,
  onOutput: Parameters<Driver['run']>[1],
): Run {
  const progress: Progress = {
    isStarted: false,
    timer: new RunTimer(spec, () => {
      if (progress.isStarted) progress.attached?.container.kill({ signal: 'SIGKILL' }).catch(() => {})
    }),
  }
  const started = Promise.withResolvers<number>()
  const sink = createOutputSink(spec.limits.outputBytes, onOutput)
  return {
    started: started.promise,
    finished: conduct(ready, progress, spec, sink, () => started.resolve(0)),
    kill: (stop) => progress.timer.end(stop),
    extend: (deadlineMs) => progress.timer.extend(deadlineMs),
  }
}
