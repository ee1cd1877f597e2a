import pg from 'pg'
import { accountFor } from './embedded/account.ts'
import { locateBinaries } from './embedded/binaries.ts'
import { clusterDirOf, DATABASE, ensureCluster, makeDataDir, ROLE } from './embedded/cluster.ts'
import type { RestartPolicy } from './embedded/falls.ts'
import { planLauncher } from './embedded/launcher.ts'
import { lockDataDir } from './embedded/lock.ts'
import { freePort } from './embedded/port.ts'
import { type Postmaster, startPostmaster } from './embedded/postmaster.ts'
import { reasonOfRefusal, refusal } from './embedded/refusal.ts'
import { clearRemains } from './embedded/remains.ts'
import { type EmbeddedPostgresEvent, type EmbeddedPostgresStatus, supervise } from './embedded/supervise.ts'
import { databaseFailure } from './failure.ts'
import { DATABASE_LIMITS } from './limits.ts'

export type { EmbeddedPostgresEvent }

export type EmbeddedPostgresOptions = {
  /** Made when missing. Holds the cluster, its password (0600) and the supervisor's lock. */
  dataDir: string
  /** On 127.0.0.1; a free one when absent. It stays the same over restarts. */
  port?: number
  log?: (entry: EmbeddedPostgresEvent) => void
  /** How often and how fast it is brought back when it dies. */
  restartPolicy?: RestartPolicy
}

/** A supervised PostgreSQL 18 of our own. */
export type EmbeddedPostgres = {
  /** With the password: never log it. */
  url: string
  port: number
  status: () => EmbeddedPostgresStatus
  /** Fast shutdown with a checkpoint; resolves when the last process is gone. May be called twice. */
  stop: () => Promise<void>
}

/**
 * Starts PostgreSQL 18 from npm on a data directory and keeps it running until `stop`.
 *
 * When PostgreSQL dies it is started again on the same port, with growing pauses: after a full disk for ever,
 * because the way back is the operator's and the next attempt finds it; of other causes ten times in a row,
 * then `status` says `failed`. When this process dies, the kernel stops PostgreSQL; where the kernel cannot,
 * the next start does.
 *
 * @throws OrienError `database_in_use` while another live process supervises the directory
 * @throws OrienError `setup_failed` with a `reason` when PostgreSQL cannot run here
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = makeDataDir(options.dataDir)
  const log = options.log ?? (() => {})
  const lock = lockDataDir(dataDir)
  try {
    const clusterDir = clusterDirOf(dataDir)
    const account = await accountFor(clusterDir)
    const launcher = planLauncher(dataDir, await locateBinaries(), account)
    const { stoppedOrphan } = await clearRemains(clusterDir)
    if (stoppedOrphan) log({ event: 'postgres.orphan_stopped' })
    const password = await ensureCluster(dataDir, launcher, account)
    const startOn = (port: number) =>
      startPostmaster(launcher, clusterDir, port, (line) => log({ event: 'postgres.line', line }))
    const { postmaster, port } = await startOnAPort(startOn, options.port)
    const supervisor = supervise(
      postmaster,
      async () => {
        await clearRemains(clusterDir)
        return startOn(port)
      },
      log,
      options.restartPolicy && { policy: options.restartPolicy },
    )
    const stop = () => supervisor.stop().finally(lock.release)
    await ensureDatabase(urlOf(password, port, 'postgres')).catch(async (error) => {
      await stop()
      throw error
    })
    return { url: urlOf(password, port, DATABASE), port, status: supervisor.status, stop }
  } catch (error) {
    lock.release()
    throw error
  }
}

const urlOf = (password: string, port: number, database: string) =>
  `postgres://${ROLE}:${password}@127.0.0.1:${port}/${database}`

type StartOn = (port: number) => Promise<Postmaster>

async function startOnAPort(
  startOn: StartOn,
  wanted: number | undefined,
): Promise<{ postmaster: Postmaster; port: number }> {
  if (wanted !== undefined) return { postmaster: await startOn(wanted), port: wanted }
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort()
    try {
      return { postmaster: await startOn(port), port }
    } catch (error) {
      if (reasonOfRefusal(error) !== 'port_taken' || attempt === DATABASE_LIMITS.portAttempts) throw error
    }
  }
}

async function ensureDatabase(adminUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl })
  try {
    await client.connect()
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`)
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== WRONG_PASSWORD)
      throw databaseFailure(error, 'not_committed')
    throw refusal('password')
  } finally {
    await client.end()
  }
}

const WRONG_PASSWORD = '28P01'
