import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Account } from './account.ts'
import type { PostgresBinaries } from './binaries.ts'
import { refusal } from './refusal.ts'

/** How to start a program of PostgreSQL as its account, and how that account sees our paths. */
export type Launcher = {
  argv: (binary: 'initdb' | 'postgres', args: readonly string[]) => [file: string, ...args: string[]]
  /** Ids for `spawn` where no program of the system can set them. */
  ids: { uid?: number; gid?: number }
  /** A path inside the data directory, as PostgreSQL sees it. */
  seen: (path: string) => string
}

const SETPRIV = '/usr/bin/setpriv'
const UNSHARE = '/usr/bin/unshare'
const MOUNT_POINTS = ['/mnt', '/media', '/srv']

// A mount namespace of its own: nothing of it is visible outside, and it ends with its last process.
const MOUNT_AND_RUN = `
set -e
mount -t tmpfs -o mode=755 orien "$1"
mkdir "$1/data" "$1/native"
mount --bind "$2" "$1/data"
mount --bind "$3" "$1/native"
shift 3
exec "$@"`

/**
 * Plans how PostgreSQL is started.
 *
 * - It gets SIGINT (fast shutdown) from the kernel when this process dies, however it dies.
 * - As root it changes to `account` for good.
 * - Below a directory that only root may enter (a clone in /root), it is shown its two directories at
 *   another place. Opening the parent for others would be the user's decision, not ours.
 *
 * @throws OrienError `setup_failed` when the account cannot reach the directories in any way
 */
export function planLauncher(dataDir: string, binaries: PostgresBinaries, account: Account | null): Launcher {
  const drop = privilegeDrop(account)
  const ids = drop.length === 0 && account ? account : {}
  const blocked = account && (closedTo(account, dirname(dataDir)) ?? closedTo(account, binaries.nativeDir))
  if (!blocked) {
    return {
      argv: (binary, args) => commandLine([...drop, binaries[binary], ...args]),
      ids,
      seen: (path) => path,
    }
  }
  const mountPoint = MOUNT_POINTS.find(
    (point) =>
      existsSync(point) && ![dataDir, binaries.nativeDir].some((path) => path.startsWith(`${point}/`)),
  )
  if (!mountPoint || drop.length === 0 || !existsSync(UNSHARE))
    throw refusal('unreachable', { directory: blocked })
  const script = ['-c', MOUNT_AND_RUN, 'sh', mountPoint, dataDir, binaries.nativeDir]
  const mount = [UNSHARE, '--mount', '/bin/sh', ...script]
  // Most containers do not let root mount.
  if (spawnSync(UNSHARE, ['--mount', '/bin/sh', ...script, 'true']).status !== 0)
    throw refusal('unreachable', { directory: blocked })
  return {
    argv: (binary, args) =>
      commandLine([...mount, ...drop, join(mountPoint, 'native', 'bin', binary), ...args]),
    ids: {},
    seen: (path) => join(mountPoint, 'data', path.slice(dataDir.length)),
  }
}

function commandLine(words: string[]): [string, ...string[]] {
  const [file = '', ...args] = words
  return [file, ...args]
}

function privilegeDrop(account: Account | null): string[] {
  if (process.platform !== 'linux' || !existsSync(SETPRIV)) return []
  const identity = account ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'] : []
  return [SETPRIV, ...identity, '--no-new-privs', '--pdeathsig', 'SIGINT', '--']
}

/** The first directory on the way to `path` that the account may not enter. */
function closedTo(account: Account, path: string): string | null {
  const parent = dirname(path)
  if (parent !== path) {
    const above = closedTo(account, parent)
    if (above) return above
  }
  const { uid, gid, mode } = statSync(path)
  const enter = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001
  return mode & enter ? null : path
}
