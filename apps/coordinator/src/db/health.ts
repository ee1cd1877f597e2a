import { OrienError } from '@orien/protocol'
import type pg from 'pg'
import type { Clock } from '../clock.ts'
import { databaseFailure } from './failure.ts'
import { DATABASE_LIMITS } from './limits.ts'
import { createPool, inTransaction } from './pool.ts'

/** What a coordinator can do with its database; anything but `ok` means that it cannot serve. */
type DatabaseHealth =
  | 'ok'
  | 'down'
  | 'slow'
  | 'busy'
  | 'read_only'
  | 'full'
  | 'damaged'
  /** PostgreSQL of our own died again and again, and its supervisor gave up. */
  | 'crash_loop'

export type HealthProbe = {
  /** Always answers, within `healthCheckMs`; never throws. */
  read: () => Promise<DatabaseHealth>
  close: () => Promise<void>
}

export type HealthProbeOptions = {
  url: string
  clock: Clock
  /** Whether the supervisor of an embedded PostgreSQL gave up. */
  hasGivenUp?: () => boolean
  checkMs?: number
}

/**
 * Asks the database to do what serving needs: a commit that reaches the disk, and a megabyte of room for files.
 *
 * It has a connection of its own, so that many long requests are not told as a database that is away. One check
 * runs at a time whoever asks, and a good answer is given again for `healthFreshMs`: the page is public, and no
 * caller may turn it into a load.
 */
export function createHealthProbe(options: HealthProbeOptions): HealthProbe {
  const { clock, hasGivenUp = () => false, checkMs = DATABASE_LIMITS.healthCheckMs } = options
  const pool = createPool({
    url: options.url,
    connections: 1,
    connectTimeoutMs: checkMs,
    statementTimeoutMs: checkMs,
    applicationName: 'orien health',
  })
  let underWay: { sinceMs: number; answer: Promise<DatabaseHealth> } | null = null
  let goodUntilMs = Number.NEGATIVE_INFINITY

  const begin = () => {
    const answer = check(pool).then((health) => {
      if (health === 'ok') goodUntilMs = clock.monotonicMs() + DATABASE_LIMITS.healthFreshMs
      underWay = null
      return health
    })
    underWay = { sinceMs: clock.monotonicMs(), answer }
    return underWay
  }

  return {
    read: async () => {
      if (hasGivenUp()) return 'crash_loop'
      const nowMs = clock.monotonicMs()
      if (nowMs < goodUntilMs) return 'ok'
      const { sinceMs, answer } = underWay ?? begin()
      // A check that an earlier caller began is late by its own clock, not by this caller's.
      return within(answer, sinceMs + checkMs - nowMs)
    },
    close: () => pool.end(),
  }
}

async function within(answer: Promise<DatabaseHealth>, leftMs: number): Promise<DatabaseHealth> {
  const late = Promise.withResolvers<DatabaseHealth>()
  const timer = setTimeout(() => late.resolve('slow'), Math.max(leftMs, 0))
  try {
    return await Promise.race([answer, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

async function check(pool: pg.Pool): Promise<DatabaseHealth> {
  try {
    return await inTransaction(pool, async (client) => {
      const { rows } = await client.query<{ mode: string }>(
        `SELECT current_setting('transaction_read_only') AS mode`,
      )
      if (rows[0]?.mode === 'on') return 'read_only'
      await client.query(USE_A_MEGABYTE_OF_DISK)
      await client.query(WRITE_TO_THE_LOG)
      return 'ok'
    })
  } catch (error) {
    return healthOf(databaseFailure(error, 'not_committed'))
  }
}

// A sort that does not fit in memory goes to a temporary file beside the tables: unlike a row it leaves nothing
// behind in table, catalog or log.
const USE_A_MEGABYTE_OF_DISK = `SET LOCAL work_mem = '64kB';
  SELECT count(DISTINCT repeat(md5(n::text), 64)) FROM generate_series(1, 512) AS n`

// Makes the commit flush the log to disk, without a row that replicas would wait for each other on.
const WRITE_TO_THE_LOG = `SELECT pg_logical_emit_message(true, 'orien health', '')`

function healthOf(failure: unknown): DatabaseHealth {
  if (!(failure instanceof OrienError)) return 'down'
  switch (failure.code) {
    case 'database_full':
      return 'full'
    case 'database_read_only':
      return 'read_only'
    case 'database_damaged':
      return 'damaged'
    case 'database_busy':
      return 'busy'
    case 'timed_out':
      return 'slow'
    default:
      return 'down'
  }
}
