import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { refusal } from './refusal.ts'

const run = promisify(execFile)

/** The operating-system account that PostgreSQL runs as. */
export type Account = { uid: number; gid: number }

/** Made when we are root. Not `nobody`: tools of strangers may run as that, and could read the ledger. */
const ACCOUNT_NAME = 'orien-postgres'

const ATTEMPTS = 10
const ATTEMPT_PAUSE_MS = 100

/**
 * The account for a cluster: our own unless we are root, which PostgreSQL refuses. An existing cluster
 * keeps its owner, so that it survives a move to a machine where the account has another number.
 *
 * @returns null when no change of account is needed or possible
 * @throws OrienError `setup_failed` when the cluster is somebody else's or the account cannot be made
 */
export async function accountFor(clusterDir: string): Promise<Account | null> {
  const ownUid = process.geteuid?.()
  if (ownUid === undefined) return null
  const cluster = statSync(clusterDir, { throwIfNoEntry: false })
  if (ownUid !== 0) {
    if (!cluster || cluster.uid === ownUid) return null
    throw refusal('owner')
  }
  if (!cluster) return findOrMakeAccount()
  if (cluster.uid !== 0) return { uid: cluster.uid, gid: cluster.gid }
  throw refusal('owner')
}

async function findOrMakeAccount(): Promise<Account> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const account = await findAccount()
    if (account) return account
    const made = await makeAccount()
    if (made === 'no_useradd') break
    // useradd holds a lock on /etc/passwd: another start may be making the same account just now.
    if (made === 'failed') await pause(ATTEMPT_PAUSE_MS)
  }
  throw refusal('account')
}

async function findAccount(): Promise<Account | null> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', ACCOUNT_NAME]), run('id', ['-g', ACCOUNT_NAME])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return null
  }
}

async function makeAccount(): Promise<'made' | 'failed' | 'no_useradd'> {
  const shape = ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent']
  try {
    await run('useradd', [...shape, '--shell', '/usr/sbin/nologin', ACCOUNT_NAME])
    return 'made'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no_useradd' : 'failed'
  }
}
