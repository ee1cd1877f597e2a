import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { DATABASE_LIMITS } from '../limits.ts'
import type { Launcher } from './launcher.ts'
import { reasonSaid, refusal } from './refusal.ts'

/** How a process ended. */
export type Exit = { exitCode: number | null; signal: NodeJS.Signals | null }

/** A running PostgreSQL that accepts connections. */
export type Postmaster = {
  pid: number
  exited: Promise<Exit>
  /** The newest lines of its log. */
  lastLines: () => readonly string[]
  stop: () => Promise<void>
}

// Everything that makes an acknowledged commit durable is said here, so that no edited configuration
// file of the cluster can take it back.
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '128MB',
  max_connections: '100',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  password_encryption: 'scram-sha-256',
  log_destination: 'stderr',
  logging_collector: 'off',
  // Statements and details hold what users sent.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  lc_messages: 'C',
  timezone: 'UTC',
  log_timezone: 'UTC',
} as const

/**
 * Starts PostgreSQL on a cluster that nothing else is using and waits until it accepts connections.
 *
 * @throws OrienError `setup_failed` with the reason that PostgreSQL gave and the last lines that it wrote
 */
export async function startPostmaster(
  launcher: Launcher,
  clusterDir: string,
  port: number,
  onLine: (line: string) => void,
): Promise<Postmaster> {
  const settings = Object.entries({ ...SETTINGS, port }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ])
  const [file, ...args] = launcher.argv('postgres', ['-D', launcher.seen(clusterDir), ...settings])
  // A session of its own: Ctrl-C in a terminal reaches the coordinator, which stops the database last.
  const child = spawn(file, args, {
    ...launcher.ids,
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' },
  })
  const said = createInterface({ input: child.stderr })
  const exited = exitOf(child, once(said, 'close'))
  const lines: string[] = []
  const isReady = await becomesReady(child, said, exited, (line) => {
    onLine(line)
    lines.push(line)
    if (lines.length > DATABASE_LIMITS.reasonLines) lines.shift()
  })
  if (!isReady) throw refusal(reasonSaid(lines.join('\n')), { log: lines })
  return {
    pid: child.pid ?? 0,
    exited,
    lastLines: () => lines,
    stop: () => stopChild(child, exited),
  }
}

/** Resolves a moment after the end, when its last words are read; a backend that is left can hold them open. */
async function exitOf(child: ChildProcess, saidAll: Promise<unknown>): Promise<Exit> {
  try {
    const [exitCode, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    await Promise.race([saidAll, pause(DATABASE_LIMITS.lastWordsMs)])
    return { exitCode, signal }
  } catch {
    return { exitCode: null, signal: null }
  }
}

/** @returns false when it ended or took too long, and is gone */
async function becomesReady(
  child: ChildProcess,
  said: Interface,
  exited: Promise<Exit>,
  onLine: (line: string) => void,
): Promise<boolean> {
  const ready = new Promise<'ready'>((resolve) => {
    said.on('line', (line) => {
      onLine(line)
      if (line.includes('database system is ready to accept connections')) resolve('ready')
    })
  })
  const late = Promise.withResolvers<'late'>()
  const timer = setTimeout(() => late.resolve('late'), DATABASE_LIMITS.startTimeoutMs)
  const outcome = await Promise.race([ready, exited, late.promise])
  clearTimeout(timer)
  if (outcome === 'ready') return true
  child.kill('SIGQUIT')
  await exited
  return false
}

async function stopChild(child: ChildProcess, exited: Promise<Exit>): Promise<void> {
  child.kill('SIGINT')
  const immediate = setTimeout(() => child.kill('SIGQUIT'), DATABASE_LIMITS.fastStopMs)
  await exited
  clearTimeout(immediate)
}
