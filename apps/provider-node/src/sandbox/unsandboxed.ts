import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { invariant, OrienError } from '@orien/protocol'
import type { Driver, Isolation, OutputChunk, Run, RunFacts, RunSpec, Stop } from './driver.ts'
import { createOutputSink, type OutputSink } from './output.ts'

const NS_PER_MICRO = 1_000n
const NS_PER_MS = 1_000_000

type Bare = {
  child: ChildProcess
  startNs: bigint
  stop: Stop
  stopNs: bigint
  deadlineMs: number
  timer?: NodeJS.Timeout
}

/** The group outlives its leader while a member is alive; a member that left it is beyond this driver. */
function killGroup({ child }: Bare): void {
  if (child.pid === undefined) return
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
  const deadNs = process.hrtime.bigint()
  const endNs = run.stopNs > 0n ? run.stopNs : deadNs
  const cutMicros = Math.floor(Math.min(spec.limits.timeMs, run.deadlineMs) * 1_000)
  const failed = run.stop === 'sandbox_error'
  return {
    stop: run.stop,
    exitCode: failed ? null : run.child.exitCode,
    signal: run.child.signalCode,
    effectiveMicros: failed ? 0 : Math.min(Number((endNs - run.startNs) / NS_PER_MICRO), cutMicros),
    lifeMs: failed ? 0 : Math.ceil(Number(deadNs - run.startNs) / 1e6),
    // Node does not tell what a child used; nothing is invented.
    cpuMicros: 0,
    maxRssBytes: 0,
    sources: { wall: 'node', cpu: 'node', memory: 'node' },
    ...(failed ? { detail: 'the tool could not be started' } : {}),
    ...sink.finish(),
  }
}

async function conduct(run: Bare, spec: RunSpec, sink: OutputSink): Promise<RunFacts> {
  const { child } = run
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => {
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
  return conclude(run, spec, sink)
}

function startBare(spec: RunSpec, onOutput: Parameters<Driver['run']>[1]): Run {
  const [command, ...args] = spec.argv
  if (command === undefined) throw new OrienError('validation_failed', 'the command line is empty')
  const child = spawn(command, args, {
    cwd: spec.workspaceDir,
    env: { ...spec.env },
    detached: true,
    stdio: 'pipe',
  })
  const run: Bare = {
    child,
    startNs: process.hrtime.bigint(),
    stop: 'exit',
    stopNs: 0n,
    deadlineMs: spec.deadlineMs,
  }
  const started = new Promise<void>((resolve) => {
    child.once('spawn', () => {
      watchTime(run, spec)
      resolve()
    })
  })
  return {
    started,
    finished: conduct(run, spec, createOutputSink(spec.limits.outputBytes, onOutput)),
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

/** For development where no sandbox exists: no walls, no limits but time and output, and never for strangers. */
export function createProcessDriver(): Driver {
  const running = new Set<Run>()
  return {
    name: 'process',
    detect: () => Promise.resolve(NO_ISOLATION),
    run: (spec, onOutput) => {
      const run = startBare(spec, onOutput)
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
