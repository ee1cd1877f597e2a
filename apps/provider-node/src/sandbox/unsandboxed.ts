import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { invariant, OrienError } from '@orien/protocol'
import { checkCommandLine } from './commandLine.ts'
import type { Driver, Isolation, OutputChunk, Run, RunFacts, RunSpec, Stop } from './driver.ts'
import { createOutputSink, type OutputSink } from './output.ts'

const NS_PER_MICRO = 1_000n
const NS_PER_MS = 1_000_000

type Bare = {
  /** Absent until the process is there. */
  child?: ChildProcess
  startNs?: bigint
  stop: Stop
  stopNs?: bigint
  deadlineMs: number
  timer?: NodeJS.Timeout
  detail?: string
}

/** The group outlives its leader while a member is alive; a member that left it is beyond this driver. */
function killGroup({ child }: Bare): void {
  if (child?.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

function end(run: Bare, stop: Stop): void {
  if (run.stop !== 'exit') return
  run.stop = stop
  run.stopNs = process.hrtime.bigint()
  killGroup(run)
}

function watchTime(run: Bare, spec: RunSpec): void {
  if (run.startNs === undefined) return
  const usedMs = Number(process.hrtime.bigint() - run.startNs) / NS_PER_MS
  const leftMs = Math.min(spec.limits.timeMs, run.deadlineMs) - usedMs
  clearTimeout(run.timer)
  if (leftMs <= 0) {
    end(run, run.deadlineMs < spec.limits.timeMs ? 'deadline' : 'time_limit')
    return
  }
  // Node's timers keep another clock and may fire early: the rest is waited for, never given away.
  run.timer = setTimeout(() => watchTime(run, spec), Math.ceil(leftMs))
}

async function pump(
  stream: Readable,
  name: OutputChunk['stream'],
  sink: OutputSink,
  run: Bare,
): Promise<void> {
  for await (const bytes of stream) {
    if (!(await sink.deliver({ stream: name, bytes }))) end(run, 'output_limit')
  }
}

function conclude(run: Bare, spec: RunSpec, sink: OutputSink): RunFacts {
  const { child, startNs, stopNs } = run
  const deadNs = process.hrtime.bigint()
  const cutMicros = Math.floor(Math.min(spec.limits.timeMs, run.deadlineMs) * 1_000)
  const failed = run.stop === 'sandbox_error'
  const ran = !failed && startNs !== undefined
  return {
    stop: run.stop,
    exitCode: failed ? null : (child?.exitCode ?? null),
    signal: child?.signalCode ?? null,
    effectiveMicros: ran ? Math.min(Number(((stopNs ?? deadNs) - startNs) / NS_PER_MICRO), cutMicros) : 0,
    lifeMs: ran ? Math.ceil(Number(deadNs - startNs) / 1e6) : 0,
    // Node does not tell what a child used; nothing is invented.
    cpuMicros: 0,
    maxRssBytes: 0,
    sources: { wall: 'node', cpu: 'node', memory: 'node' },
    ...(failed ? { detail: run.detail ?? 'the tool could not be started' } : {}),
    ...sink.finish(),
  }
}

async function converse(run: Bare, child: ChildProcess, spec: RunSpec, sink: OutputSink): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') run.detail = 'the executable, or the loader that it names, is not there'
      end(run, 'sandbox_error')
      resolve()
    })
  })
  child.once('exit', () => killGroup(run))
  invariant(child.stdout && child.stderr && child.stdin, 'spawn made every pipe')
  child.stdin.on('error', () => {}).end(spec.stdin ?? new Uint8Array())
  const pumps = [pump(child.stdout, 'stdout', sink, run), pump(child.stderr, 'stderr', sink, run)]
  await Promise.all([...pumps, closed]).catch(() => end(run, 'sandbox_error'))
  clearTimeout(run.timer)
}

async function conduct(run: Bare, spec: RunSpec, sink: OutputSink, onStarted: () => void): Promise<RunFacts> {
  // Whoever asked for the run may still take it back.
  await new Promise((resolve) => setImmediate(resolve))
  if (run.stop !== 'exit') return conclude(run, spec, sink)
  try {
    checkCommandLine(spec)
    const [command = '', ...args] = spec.argv
    const options = { cwd: spec.workspaceDir, env: { ...spec.env }, detached: true }
    const child = spawn(command, args, { ...options, stdio: 'pipe' })
    run.child = child
    run.startNs = process.hrtime.bigint()
    child.once('spawn', () => {
      watchTime(run, spec)
      onStarted()
    })
    await converse(run, child, spec, sink)
  } catch (error) {
    run.detail = error instanceof OrienError ? error.message : 'the tool could not be started'
    end(run, 'sandbox_error')
  }
  return conclude(run, spec, sink)
}

/** Starts a process with a time limit and an output limit, and no other. */
export function startProcess(spec: RunSpec, onOutput: Parameters<Driver['run']>[1]): Run {
  const run: Bare = { stop: 'exit', deadlineMs: spec.deadlineMs }
  const started = Promise.withResolvers<void>()
  const sink = createOutputSink(spec.limits.outputBytes, onOutput)
  return {
    started: started.promise,
    finished: conduct(run, spec, sink, started.resolve),
    kill: (stop) => end(run, stop),
    extend: (deadlineMs) => {
      if (deadlineMs <= run.deadlineMs) return
      run.deadlineMs = deadlineMs
      watchTime(run, spec)
    },
  }
}

const NO_ISOLATION: Isolation = {
  driver: 'process',
  isolationClass: 'none',
  servesStrangers: false,
  refusal: {
    code: 'no_isolation',
    detail: 'the process driver runs tools with the rights of the node itself',
  },
  canaries: [],
}

/**
 * A driver that starts plain processes and has nothing to set up.
 *
 * @param start how
 */
export function createBareDriver(isolation: Isolation, start: Driver['run']): Driver {
  const running = new Set<Run>()
  return {
    name: isolation.driver,
    detect: () => Promise.resolve(isolation),
    run: (spec, onOutput) => {
      const run = start(spec, onOutput)
      running.add(run)
      run.finished.then(() => running.delete(run))
      return run
    },
    release: async () => {},
    counts: () => ({ idle: 0, made: 0, reused: 0, discarded: 0 }),
    close: async () => {
      for (const run of running) run.kill('cancelled')
      await Promise.all([...running].map((run) => run.finished))
    },
  }
}

/** For development where no sandbox exists: no walls, no limits but time and output, and never for strangers. */
export const createProcessDriver = (): Driver => createBareDriver(NO_ISOLATION, startProcess)
