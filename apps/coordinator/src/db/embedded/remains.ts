import { readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DATABASE_LIMITS } from '../limits.ts'
import { refusal } from './refusal.ts'
import { until } from './until.ts'

/** What `postmaster.pid` says; its lines are fixed by PostgreSQL's `miscadmin.h` (LOCK_FILE_LINE_*). */
export type PostmasterFile = { pid: number; shmId: number | null }

/** Reads the text of a `postmaster.pid`; null when it is too damaged to name a process. */
function parsePostmasterFile(text: string): PostmasterFile | null {
  const lines = text.split('\n')
  const pid = Number.parseInt(lines[0] ?? '', 10)
  if (!Number.isSafeInteger(pid) || pid <= 0) return null
  const shmId = Number.parseInt(lines[6]?.trim().split(/\s+/)[1] ?? '', 10)
  return { pid, shmId: Number.isSafeInteger(shmId) ? shmId : null }
}

/**
 * Ends whatever an earlier PostgreSQL left behind in a cluster: a live orphan is shut down, backends
 * without a postmaster are waited for, then ended, and its shared memory is seen to be free. Only then
 * is a new start safe: a surviving backend would write to files that recovery is reading.
 *
 * @throws OrienError `setup_failed` when a process or its shared memory stays
 */
export async function clearRemains(clusterDir: string): Promise<{ stoppedOrphan: boolean }> {
  const file = readPostmasterFile(clusterDir)
  const found = postgresProcesses(clusterDir, file)
  if (file && found.includes(file.pid)) await stopPostmaster(file.pid)
  await endBackends(clusterDir, file)
  if (file?.shmId != null) await waitForSharedMemory(file.pid, file.shmId)
  // With every process known to be gone, a number left in the file can only be somebody else's: in a
  // restarted container the same small ids come back, and PostgreSQL would refuse to start.
  if (process.platform === 'linux') rmSync(join(clusterDir, 'postmaster.pid'), { force: true })
  return { stoppedOrphan: found.length > 0 }
}

function readPostmasterFile(clusterDir: string): PostmasterFile | null {
  try {
    return parsePostmasterFile(readFileSync(join(clusterDir, 'postmaster.pid'), 'utf8'))
  } catch {
    return null
  }
}

async function stopPostmaster(pid: number): Promise<void> {
  // One that somebody stopped (SIGSTOP, a debugger) would not hear the next signal.
  send(pid, 'SIGCONT')
  for (const [signal, timeoutMs] of [
    ['SIGINT', DATABASE_LIMITS.fastStopMs],
    ['SIGQUIT', DATABASE_LIMITS.immediateStopMs],
  ] as const) {
    send(pid, signal)
    if (await until(() => !isAlive(pid), timeoutMs)) return
  }
  throw refusal('remains', { pid })
}

async function endBackends(clusterDir: string, file: PostmasterFile | null): Promise<void> {
  const gone = () => postgresProcesses(clusterDir, file).length === 0
  if (await until(gone, DATABASE_LIMITS.orphanBackendMs)) return
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const pid of postgresProcesses(clusterDir, file)) send(pid, signal)
    if (await until(gone, DATABASE_LIMITS.orphanBackendMs)) return
  }
  throw refusal('remains', { pids: postgresProcesses(clusterDir, file) })
}

async function waitForSharedMemory(pid: number, shmId: number): Promise<void> {
  if (process.platform !== 'linux') return
  if (await until(() => attachments(pid, shmId) === 0, DATABASE_LIMITS.immediateStopMs)) return
  throw refusal('remains', { shmId })
}

/**
 * Processes attached to the System V segment that a postmaster made. Its number is given again after a reboot:
 * then the maker is another process, or one that lives and is not ours. Columns: key shmid perms size cpid lpid
 * nattch (proc(5)).
 */
function attachments(pid: number, shmId: number): number {
  const rows = readFileSync('/proc/sysvipc/shm', 'utf8').split('\n').slice(1)
  const row = rows.map((line) => line.trim().split(/\s+/)).find((columns) => columns[1] === String(shmId))
  return row?.[4] === String(pid) && !isAlive(pid) ? Number(row[6]) : 0
}

/**
 * The PostgreSQL processes of one cluster. Each of them has the cluster as its working directory for life;
 * the inode is compared, not the path, because a postmaster may see the directory through another mount.
 */
export function postgresProcesses(clusterDir: string, file: PostmasterFile | null): number[] {
  if (process.platform !== 'linux') return file && isAlive(file.pid) ? [file.pid] : []
  const cluster = statSync(clusterDir, { throwIfNoEntry: false })
  if (!cluster) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const cwd = statSync(`/proc/${pid}/cwd`)
        const isHere = cwd.ino === cluster.ino && cwd.dev === cluster.dev
        return isHere && /\/postgres( \(deleted\))?$/.test(readlinkSync(`/proc/${pid}/exe`))
      } catch {
        return false
      }
    })
    .map(Number)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

// An ended process whose parent never reaps it answers signals for ever.
function isZombie(pid: number): boolean {
  if (process.platform !== 'linux') return false
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended between the look and the signal.
  }
}
