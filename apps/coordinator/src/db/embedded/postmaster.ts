import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { OrienError } from '@orien/protocol'
import { DATABASE_LIMITS } from '../limits.ts'
import type { Launcher } from './launcher.ts'

/** How a process ended. */
export type Exit = { exitCode: number | null; signal: NodeJS.Signals | null }

/** A running PostgreSQL that accepts connections. */
export type Postmaster = { pid: number; exited: Promise<Exit>; stop: () => Promise<void> }

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
 * @throws OrienError `setup_failed`, its facts holding the last lines that PostgreSQL wrote; `reason` is
 *   `port_taken` when the port was
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
  const exited = exitOf(child)
  await untilReady(child, exited, onLine)
  return { pid: child.pid ?? 0, exited, stop: () => stopChild(child, exited) }
}

async function exitOf(child: ChildProcess): Promise<Exit> {
  try {
    const [exitCode, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return { exitCode, signal }
  } catch {
    return { exitCode: null, signal: null }
  }
}

async function untilReady(
  child: ChildProcess,
  exited: Promise<Exit>,
  onLine: (line: string) => void,
): Promise<void> {
  const last: string[] = []
  const ready = new Promise<'ready'>((resolve) => {
    if (!child.stderr) return
    createInterface({ input: child.stderr }).on('line', (line) => {
      onLine(line)
      last.push(line)
      if (last.length > DATABASE_LIMITS.reasonLines) last.shift()
      if (line.includes('database system is ready to accept connections')) resolve('ready')
    })
  })
  const abort = new AbortController()
  const late = new Promise<'late'>((resolve) => {
    const timer = setTimeout(() => resolve('late'), DATABASE_LIMITS.startTimeoutMs)
    abort.signal.addEventListener('abort', () => clearTimeout(timer))
  })
  const outcome = await Promise.race([ready, exited, late])
  abort.abort()
  if (outcome === 'ready') return
  child.kill('SIGQUIT')
  await exited
  throw new OrienError('setup_failed', 'PostgreSQL did not start.', {
    reason: reasonOf(last.join('\n')),
    log: last,
  })
}

/** What lines of PostgreSQL or initdb say about their failure. */
export function reasonOf(text: string): 'port_taken' | 'disk_full' | 'refused' {
  if (/could not bind|could not create any TCP\/IP sockets/.test(text)) return 'port_taken'
  return text.includes('No space left on device') ? 'disk_full' : 'refused'
}

async function stopChild(child: ChildProcess, exited: Promise<Exit>): Promise<void> {
  child.kill('SIGINT')
  const immediate = setTimeout(() => child.kill('SIGQUIT'), DATABASE_LIMITS.fastStopMs)
  await exited
  clearTimeout(immediate)
}
