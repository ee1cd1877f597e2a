import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { OrienError } from '@orien/protocol'
import type { Account } from './account.ts'
import type { Launcher } from './launcher.ts'

/** The superuser of an embedded cluster and the database of the coordinator. */
export const ROLE = 'orien'
export const DATABASE = 'orien'

const MAJOR_VERSION = '18'

/** Files of a data directory. Only `cluster` belongs to PostgreSQL's account. */
export const clusterDirOf = (dataDir: string) => join(dataDir, 'cluster')
const passwordFileOf = (dataDir: string) => join(dataDir, 'password')

/** Makes the data directory: others may pass through it as root's PostgreSQL must, but not look. */
export function makeDataDir(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true })
  chmodSync(dataDir, process.geteuid?.() === 0 ? 0o711 : 0o700)
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
    if (!existsSync(passwordFile))
      throw refused('The password file of the database is missing.', 'password_missing')
    return readFileSync(passwordFile, 'utf8').trim()
  }
  const password = randomBytes(32).toString('base64url')
  writeSecret(passwordFile, password)
  const halfDone = join(dataDir, 'cluster.new')
  rmSync(halfDone, { recursive: true, force: true })
  mkdirSync(halfDone, { mode: 0o700 })
  if (account) chownSync(halfDone, account.uid, account.gid)
  await initialise(launcher, dataDir, halfDone, password, account)
  renameSync(halfDone, clusterDir)
  syncDirectory(dataDir)
  return password
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
  dataDir: string,
  clusterDir: string,
  password: string,
  account: Account | null,
): Promise<void> {
  // initdb reads the password as its own account, which may not read our file; this copy lives a second.
  const handover = join(dataDir, 'password.new')
  writeSecret(handover, password)
  if (account) chownSync(handover, account.uid, account.gid)
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
    if (exitCode !== 0) throw refused('The database files could not be made.', 'initdb', complaint.trim())
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
