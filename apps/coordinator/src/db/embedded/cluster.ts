import { spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { systemClock } from '../../clock.ts'
import { systemRandom } from '../../random.ts'
import { DATABASE_LIMITS } from '../limits.ts'
import type { Account } from './account.ts'
import type { Launcher } from './launcher.ts'
import { reasonSaid, refusal } from './refusal.ts'
import { until } from './until.ts'

/** The superuser of an embedded cluster and the database of the coordinator. */
export const ROLE = 'orien'
export const DATABASE = 'orien'

const MAJOR_VERSION = '18'
const VERSION_FILE = 'PG_VERSION'

/** Files of a data directory. Only `cluster` belongs to PostgreSQL's account. */
export const clusterDirOf = (dataDir: string) => join(dataDir, 'cluster')
const passwordFileOf = (dataDir: string) => join(dataDir, 'password')

/**
 * Makes the data directory: others may pass through it as root's PostgreSQL must, but not look.
 *
 * @returns its path without links
 * @throws OrienError `setup_failed` with the reason `data_dir`, `disk_full` or `not_ours`
 */
export function makeDataDir(dataDir: string): string {
  // Somebody's own PostgreSQL keeps its files here: not even their modes may change.
  if (existsSync(join(dataDir, VERSION_FILE))) throw refusal('not_ours')
  return onDisk(() => {
    mkdirSync(dataDir, { recursive: true })
    chmodSync(dataDir, process.geteuid?.() === 0 ? 0o711 : 0o700)
    return realpathSync(dataDir)
  })
}

/**
 * Makes the cluster at the first start, and says the password at every start.
 *
 * The cluster appears under its name only when it is complete and on disk, so a kill in the middle leaves
 * nothing that a later start could take for a database.
 *
 * @throws OrienError `setup_failed` with the reason `version`, `not_ours`, `password_missing`, `data_dir`,
 *   `disk_full` or what initdb said
 */
export async function ensureCluster(
  dataDir: string,
  launcher: Launcher,
  account: Account | null,
): Promise<string> {
  const clusterDir = clusterDirOf(dataDir)
  const passwordFile = passwordFileOf(dataDir)
  if (existsSync(clusterDir)) {
    checkVersion(clusterDir)
    return readPassword(passwordFile)
  }
  const password = systemRandom(systemClock).word().slice(2)
  await removeUnfinished(dataDir)
  const unfinished = onDisk(() => {
    writeSecret(passwordFile, password)
    // A name of its own: the initdb of a killed start may still be removing what it made.
    const made = mkdtempSync(join(dataDir, UNFINISHED))
    chmodSync(made, 0o711)
    return made
  })
  await initialise(launcher, unfinished, password, account)
  renameSync(join(unfinished, 'cluster'), clusterDir)
  rmdirSync(unfinished)
  syncDirectory(dataDir)
  return password
}

/** Does what the file system may refuse, and tells its refusals by their reasons. */
function onDisk<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException
    throw refusal(code === 'ENOSPC' || code === 'EDQUOT' ? 'disk_full' : 'data_dir', { code }, { cause })
  }
}

function readPassword(passwordFile: string): string {
  try {
    return readFileSync(passwordFile, 'utf8').trim()
  } catch (cause) {
    throw refusal('password_missing', {}, { cause })
  }
}

const UNFINISHED = 'unfinished-'

/** What a killed start left. Its initdb may still be at work there, so that one pass can miss files. */
async function removeUnfinished(dataDir: string): Promise<void> {
  for (const name of readdirSync(dataDir).filter((name) => name.startsWith(UNFINISHED))) {
    await until(() => isRemoved(join(dataDir, name)), DATABASE_LIMITS.immediateStopMs)
  }
}

function isRemoved(path: string): boolean {
  try {
    rmSync(path, { recursive: true, force: true })
  } catch {
    return false
  }
  return !existsSync(path)
}

function checkVersion(clusterDir: string): void {
  const version = readVersion(clusterDir)
  if (version === null) throw refusal('not_ours')
  if (version !== MAJOR_VERSION) throw refusal('version', { found: version, needed: MAJOR_VERSION })
}

/** initdb writes it first of all: a directory without it is no cluster. */
function readVersion(clusterDir: string): string | null {
  try {
    return readFileSync(join(clusterDir, VERSION_FILE), 'utf8').trim()
  } catch {
    return null
  }
}

async function initialise(
  launcher: Launcher,
  parentDir: string,
  password: string,
  account: Account | null,
): Promise<void> {
  const clusterDir = join(parentDir, 'cluster')
  // initdb reads the password as its own account, which may not read our file; this copy lives a second.
  const handover = join(parentDir, 'password')
  onDisk(() => {
    mkdirSync(clusterDir, { mode: 0o700 })
    writeSecret(handover, password)
    if (account) for (const path of [clusterDir, handover]) chownSync(path, account.uid, account.gid)
  })
  const [file, ...args] = launcher.argv('initdb', [
    `--pgdata=${launcher.seen(clusterDir)}`,
    `--username=${ROLE}`,
    `--pwfile=${launcher.seen(handover)}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // PostgreSQL's own collation: the order of text does not change with the system's C library.
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
    '--data-checksums',
  ])
  try {
    const child = spawn(file, args, {
      ...launcher.ids,
      stdio: ['ignore', 'ignore', 'pipe'],
      cwd: '/',
      env: { LC_ALL: 'C' },
    })
    const exited = new Promise<number | null>((resolve, reject) => {
      child.on('exit', resolve)
      child.on('error', reject)
    })
    const [exitCode, complaint] = await Promise.all([exited, text(child.stderr)])
    if (exitCode !== 0) throw refusal(reasonSaid(complaint), { log: complaint.trim().split('\n') })
  } finally {
    rmSync(handover, { force: true })
  }
}

function writeSecret(path: string, secret: string): void {
  rmSync(path, { force: true })
  const file = openSync(path, 'wx', 0o600)
  writeFileSync(file, secret)
  fsyncSync(file)
  closeSync(file)
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  fsyncSync(directory)
  closeSync(directory)
}
