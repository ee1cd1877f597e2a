import { readFileSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { OrienError } from '@orien/protocol'
import { refusal } from './refusal.ts'

/**
 * Makes this process the only supervisor of a data directory, until `release` or death.
 *
 * A file with a process id in it cannot do that: taking over a stale one is a race, and ids are reused.
 * The kernel's file locks vanish with their holder, and SQLite is the part of Node that takes them.
 *
 * @throws OrienError `database_in_use` while another supervisor lives, in this process or elsewhere;
 *   `setup_failed` when the lock file cannot be used at all
 */
export function lockDataDir(dataDir: string): { release: () => void } {
  const lockFile = join(dataDir, 'supervisor.lock')
  const holderFile = join(dataDir, 'supervisor.pid')
  let lock: DatabaseSync | null = null
  try {
    lock = new DatabaseSync(lockFile)
    lock.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock?.close()
    if (isHeld(cause)) throw inUse(readHolder(lockFile, holderFile), cause)
    // SQLite has several names for a file that could not be made there.
    throw refusal(statfsSync(dataDir).bavail === 0 ? 'disk_full' : 'lock', {}, { cause })
  }
  const held = lock
  sayHolder(holderFile)
  return { release: () => held.isOpen && held.close() }
}

// https://www.sqlite.org/rescode.html#busy
const SQLITE_BUSY = 5
const isHeld = (error: unknown) =>
  error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY

function inUse(holderPid: number | null, cause: unknown): OrienError {
  const holder = holderPid === null ? 'a running process' : `process ${holderPid}`
  return new OrienError(
    'database_in_use',
    `The data directory belongs to ${holder}; stop it first, or use another data directory.`,
    { holderPid },
    { cause },
  )
}

// The two below are for the operator's eyes: the lock decides, not what they say.

function sayHolder(holderFile: string): void {
  try {
    writeFileSync(holderFile, `${process.pid}\n`)
  } catch {
    // A full disk is told by PostgreSQL, which needs more room than a line.
  }
}

/** The kernel knows; a file may still name the holder before this one. */
function readHolder(lockFile: string, holderFile: string): number | null {
  return readKernelHolder(lockFile) ?? readSaidHolder(holderFile)
}

/** Rows of /proc/locks: number, class, mode, access, pid, device:inode, start, end (proc(5)). */
function readKernelHolder(lockFile: string): number | null {
  try {
    const inode = `:${statSync(lockFile).ino}`
    const rows = readFileSync('/proc/locks', 'utf8').split('\n')
    const row = rows.map((line) => line.trim().split(/\s+/)).find((columns) => columns[5]?.endsWith(inode))
    return toPid(row?.[4])
  } catch {
    return null
  }
}

function readSaidHolder(holderFile: string): number | null {
  try {
    return toPid(readFileSync(holderFile, 'utf8'))
  } catch {
    return null
  }
}

function toPid(text: string | undefined): number | null {
  const pid = Number.parseInt(text ?? '', 10)
  return pid > 0 ? pid : null
}
