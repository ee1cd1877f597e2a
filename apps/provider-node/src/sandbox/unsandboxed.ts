import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { invariant, OrienError } from '@orien/protocol'
import { checkCommandLine } from './commandLine.ts'
import type { Driver, Isolation, OutputChunk, Run, RunFacts, RunSpec } from './driver.ts'
import { SANDBOX_LIMITS } from './limits.ts'
import { createOutputSink, type OutputSink } from './output.ts'
import { RunTimer } from './runTimer.ts'

type Bare = {
  timer: RunTimer
  /** Absent until the process is there. */
  child?: ChildProcess
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

async function pump(
  stream: Readable,
  name: OutputChunk['stream'],
  sink: OutputSink,
  run: Bare,
): Promise<void> {
  for await (const bytes of stream) {
    if (!(await sink.deliver({ stream: name, bytes }))) run.timer.end('output_limit')
  }
}

function conclude({ timer, child, detail }: Bare, sink: OutputSink): RunFacts {
  const { stop } = timer
  const failed = stop === 'sandbox_error'
  return {
    stop,
    exitCode: failed ? null : (child?.exitCode ?? null),
    signal: child?.signalCode ?? null,
    ...timer.facts(stop),
    // Node does not tell what a child used; nothing is invented.
    cpuMicros: 0,
    maxRssBytes: 0,
    sources: { wall: 'node', cpu: 'node', memory: 'node' },
    ...(failed ? { detail: detail ?? 'the tool could not be started' } : {}),
    ...sink.finish(),
  }
}

/**
 * Ends an output that nothing comes from any more. What left the tool's group may hold it open for as long as it
 * likes, and a run does not wait for that.
 */
function endWhenStill(output: Socket, seenBytes = -1): void {
  if (output.closed) return
  const isStill = output.bytesRead === seenBytes && output.readableLength === 0
  if (isStill) output.destroy()
  // Behind the reading of what came while the node itself was held up.
  else setTimeout(() => setImmediate(endWhenStill, output, output.bytesRead), SANDBOX_LIMITS.backstopMs)
}

async function converse(run: Bare, child: ChildProcess, spec: RunSpec, sink: OutputSink): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') run.detail = 'the executable, or the loader that it names, is not there'
      run.timer.end('sandbox_error')
      resolve()
    })
  })
  const { stdin, stdout, stderr } = child
  invariant(stdin && stdout && stderr, 'spawn made every pipe')
  child.once('exit', () => {
    killGroup(run)
    for (const stream of [stdout, stderr]) endWhenStill(stream as Socket)
  })
  stdin.on('error', () => {}).end(spec.stdin ?? new Uint8Array())
  const pumps = [pump(stdout, 'stdout', sink, run), pump(stderr, 'stderr', sink, run)]
  await Promise.all([...pumps, closed]).catch(() => {
    if (child.exitCode === null && child.signalCode === null) run.timer.end('sandbox_error')
  })
  run.timer.close()
}

async function conduct(run: Bare, spec: RunSpec, sink: OutputSink, onStarted: () => void): Promise<RunFacts> {
  // Whoever asked for the run may still take it back.
  await new Promise((resolve) => setImmediate(resolve))
  if (run.timer.stop !== 'exit') return conclude(run, sink)
  try {
    checkCommandLine(spec)
    const [command = '', ...args] = spec.argv
    const options = { cwd: spec.workspaceDir, env: { ...spec.env }, detached: true }
    const child = spawn(command, args, { ...options, stdio: 'pipe' })
    run.child = child
    run.timer.begin()
    child.once('spawn', onStarted)
    await converse(run, child, spec, sink)
  } catch (error) {
    run.detail = error instanceof OrienError ? error.message : 'the tool could not be started'
    run.timer.end('sandbox_error')
  }
  return conclude(run, sink)
}

/** Starts a process with a time limit and an output limit, and no other. */
export function startProcess(spec: RunSpec, onOutput: Parameters<Driver['run']>[1]): Run {
  const run: Bare = { timer: new RunTimer(spec, () => killGroup(run)) }
  const started = Promise.withResolvers<number>()
  const sink = createOutputSink(spec.limits.outputBytes, onOutput)
  return {
    started: started.promise,
    finished: conduct(run, spec, sink, () => started.resolve(0)),
    kill: (stop) => run.timer.end(stop),
    extend: (deadlineMs) => run.timer.extend(deadlineMs),
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
