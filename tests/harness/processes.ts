import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** How a part of the system runs as its own operating-system process. */
export type ProcessPlan = {
  name: string
  command: readonly string[]
  logFile: string
  environment?: Readonly<Record<string, string>>
  /** Whether a line of its output says that it is ready. */
  isReady: (line: string) => boolean
}

/** A process that is started, killed and started again. */
export type ManagedProcess = {
  name: string
  /** Of the present process; 0 when none runs. */
  pid: () => number
  isRunning: () => boolean
  /** Resolves with the line that says so when it is ready; rejects when it ends instead. */
  start: () => Promise<string>
  /** Resolves when the process is gone; at once when there is none. */
  end: (signal: NodeJS.Signals) => Promise<void>
  /** Resolves when the present process ends, however it does. */
  gone: () => Promise<void>
}

export function manageProcess(plan: () => ProcessPlan): ManagedProcess {
  const { name } = plan()
  let child: ChildProcess | null = null
  const isRunning = () => child !== null && child.exitCode === null && child.signalCode === null
  return {
    name,
    pid: () => (isRunning() ? (child?.pid ?? 0) : 0),
    isRunning,
    start: async () => {
      child = launch(plan())
      return readyLine(child, plan())
    },
    end: async (signal) => {
      if (!child || !isRunning()) return
      const exited = once(child, 'exit')
      child.kill(signal)
      await exited
    },
    gone: async () => {
      if (child && isRunning()) await once(child, 'exit')
    },
  }
}

function launch({ command, environment = {}, logFile }: ProcessPlan): ChildProcess {
  const log = openSync(logFile, 'a', 0o600)
  // Whatever ends the harness ends its processes with it.
  const [program = '', ...args] = ['setpriv', '--pdeathsig', 'KILL', ...command]
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', log],
    env: { PATH: process.env.PATH ?? '', ...environment },
  })
  closeSync(log)
  return child
}

function readyLine(child: ChildProcess, { name, isReady, logFile }: ProcessPlan): Promise<string> {
  const { stdout } = child
  if (!stdout) throw new TypeError('the output is a pipe')
  const log = openSync(logFile, 'a', 0o600)
  const ready = Promise.withResolvers<string>()
  ready.promise.catch(() => undefined)
  createInterface({ input: stdout }).on('line', (line) => {
    writeSync(log, `${line}\n`)
    if (isReady(line)) ready.resolve(line)
  })
  child.once('error', ready.reject)
  child.once('close', () => {
    closeSync(log)
    ready.reject(new TypeError(`${name} ended before it was ready`))
  })
  return ready.promise
}
