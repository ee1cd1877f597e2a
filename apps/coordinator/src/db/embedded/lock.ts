import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { OrienError } from '@orien/protocol'

/**
 * Makes this process the only supervisor of a data directory, until `release` or death.
 *
 * A file with a process id in it cannot do that: taking over a stale one is a race, and ids are reused.
 * The kernel's file locks vanish with their holder, and SQLite is the part of Node that takes them.
 *
 * @throws OrienError `database_in_use` while another supervisor lives, in this process or elsewhere
 */
export function lockDataDir(dataDir: string): { release: () => void } {
  const holderFile = join(dataDir, 'supervisor.pid')
  const lock = new DatabaseSync(join(dataDir, 'supervisor.lock'))
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    throw new OrienError(
      'database_in_use',
      'The data directory belongs to a running coordinator.',
      { holderPid: readHolder(holderFile) },
      { cause },
    )
  }
  writeFileSync(holderFile, `${process.pid}\n`)
  return { release: () => lock.isOpen && lock.close() }
}

// Information for the operator only: the lock decides, not this file.
function readHolder(holderFile: string): number | null {
  try {
    return Number.parseInt(readFileSync(holderFile, 'utf8'), 10)
  } catch {
    return null
  }
}
