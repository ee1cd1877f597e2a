import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, readFileSync } from 'node:fs'
import { getCompileCacheDir } from 'node:module'
import { fileURLToPath } from 'node:url'
import { NODE_FLAGS } from '../provider/nodeFlags.ts'
import { openLog } from './logFiles.ts'

/** A provider node in a process of its own. */
export type ProviderProcess = {
  pid: number
  /** Resolves with a sentence when it ends without being asked to. */
  died: Promise<string>
  /** Lets running tools finish for a moment, then ends it. */
  stop: () => Promise<void>
}

export type ProviderProcessOptions = {
  dataDir: string
  coordinatorUrl: string
  rpcUrl: string
  logFile: string
  /** Everything that the process sees of ours. */
  environment: Readonly<Record<string, string>>
}

/** From SIGTERM to the end: longer than a node waits for its tools. */
const STOP_MS = 15_000

function mainFile(): string {
  return fileURLToPath(new URL('./main.ts', import.meta.resolve('@orien/provider-node')))
}

/** On Linux the kernel ends the node when this process dies, however it dies. */
function tieToParent(): string[] {
  if (process.platform !== 'linux') return []
  const probe = spawnSync('setpriv', ['--pdeathsig', 'TERM', 'true'], { stdio: 'ignore' })
  return probe.status === 0 ? ['setpriv', '--pdeathsig', 'TERM'] : []
}

/** Compiled code of earlier starts, for a program that is given to Node as TypeScript. */
function compileCache(): Record<string, string> {
  const dir = getCompileCacheDir()
  return dir === undefined ? {} : { NODE_COMPILE_CACHE: dir }
}

/** Starts the node; whether it is online is the coordinator's to say. */
export function startProviderProcess(options: ProviderProcessOptions): ProviderProcess {
  const { dataDir, coordinatorUrl, rpcUrl } = options
  const place = ['--data-dir', dataDir, '--coordinator', coordinatorUrl, '--rpc-url', rpcUrl]
  const command = [...tieToParent(), process.execPath, ...NODE_FLAGS, mainFile(), ...place]
  const log = openLog(options.logFile)
  // A group of its own: Ctrl-C in a terminal is for us, who then stop the parts in their order.
  const child = spawn(command[0] ?? process.execPath, command.slice(1), {
    cwd: '/',
    detached: true,
    env: { ...compileCache(), ...options.environment },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  let isStopping = false
  const died = new Promise<string>((resolve) => {
    const ended = (how: string) => {
      process.removeListener('exit', kill)
      if (!isStopping) resolve(`${how}, ${lastWords(options.logFile)} (${options.logFile})`)
    }
    child.once('error', (error) => ended(`it could not be started: ${error.message}`))
    child.once('exit', (code, signal) =>
      ended(signal ? `it was ended by ${signal}` : `it ended with ${code}`),
    )
  })
  return {
    pid: child.pid ?? 0,
    died,
    stop: () => {
      isStopping = true
      return stopChild(child)
    },
  }
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const exited = once(child, 'exit')
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  child.kill('SIGTERM')
  await exited
  clearTimeout(late)
}

/** What the node said last: its lines are JSON, those of a crash are not. */
function lastWords(path: string): string {
  const last = readFileSync(path, 'utf8').trimEnd().split('\n').at(-1) ?? ''
  try {
    const { err, msg, event } = JSON.parse(last) as {
      err?: { detail?: string }
      msg?: string
      event?: string
    }
    return String(err?.detail ?? msg ?? event)
  } catch {
    return last.slice(0, 400)
  }
}
