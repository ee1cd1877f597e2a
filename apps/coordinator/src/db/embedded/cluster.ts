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
import { OrienError } from '@orien/protocol'
import { systemClock } from '../../clock.ts'
import { systemRandom } from '../../random.ts'
import { DATABASE_LIMITS } from '../limits.ts'
import type { Account } from './account.ts'
import type { Launcher } from './launcher.ts'
import { reasonOf } from './postmaster.ts'
import { until } from './until.ts'

/** The superuser of an embedded cluster and the database of the coordinator. */
export const ROLE = 'orien'
export const DATABASE = 'orien'

const MAJOR_VERSION = '18'

/** Files of a data directory. Only `cluster` belongs to PostgreSQL's account. */
export const clusterDirOf = (dataDir: string) => join(dataDir, 'cluster')
const passwordFileOf = (dataDir: string) => join(dataDir, 'password')

/**
 * Makes the data directory: others may pass through it as root's PostgreSQL must, but not look.
 *
 * @returns its path without links
 * @throws OrienError `setup_failed` when it cannot be made or is not ours
 */
export function makeDataDir(dataDir: string): string {
  try {
    mkdirSync(dataDir, { recursive: true })
    chmodSync(dataDir, process.geteuid?.() === 0 ? 0o711 : 0o700)
    return realpathSync(dataDir)
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException
    throw refused(`The data directory cannot be used (${code}).`, 'data_dir')
  }
}

/**
 * Makes the cluster at the first start, and says the password at every start.
 *
 * The cluster appears under its name only when it is complete and on disk, so a kill in the middle leaves
 * nothing that a later start could take for a database.
 *
 * @throws OrienError `setup_failed` for a cluster of another major version, or one without its password
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
    if (!existsSync(passwordFile)) throw refused('The password file is missing.', 'password_missing')
    return readFileSync(passwordFile, 'utf8').trim()
  }
  const password = systemRandom(systemClock).word().slice(2)
  writeSecret(passwordFile, password)
  await removeUnfinished(dataDir)
  // A name of its own: the initdb of a killed start may still be removing what it made.
  const unfinished = mkdtempSync(join(dataDir, UNFINISHED))
  chmodSync(unfinished, 0o711)
  await initialise(launcher, unfinished, password, account)
  renameSync(join(unfinished, 'cluster'), clusterDir)
  rmdirSync(unfinished)
  syncDirectory(dataDir)
  return password
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
  const version = readFileSync(join(clusterDir, 'PG_VERSION'), 'utf8').trim()
  if (version === MAJOR_VERSION) return
  throw refused(
    `The database files are of PostgreSQL ${version}, this is ${MAJOR_VERSION}; dump and restore them.`,
    'version',
  )
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
  mkdirSync(clusterDir, { mode: 0o700 })
  writeSecret(handover, password)
  if (account) for (const path of [clusterDir, handover]) chownSync(path, account.uid, account.gid)
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
    if (exitCode !== 0)
      throw refused('The database files could not be made.', reasonOf(complaint), complaint.trim())
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

const refused = (detail: string, reason: string, log?: string) =>
  new OrienError('setup_failed', detail, log === undefined ? { reason } : { reason, log })
