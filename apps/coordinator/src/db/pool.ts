import { invariant, OrienError } from '@orien/protocol'
import pg from 'pg'
import { databaseFailure, type Outcome } from './failure.ts'
import { DATABASE_LIMITS } from './limits.ts'

export type PoolOptions = {
  url: string
  /** At most this many connections. */
  connections?: number
  connectTimeoutMs?: number
  /** Longest statement, counted by the server. */
  statementTimeoutMs?: number
  /** Shown in `pg_stat_activity`. */
  applicationName?: string
  /** Told of a connection that broke while nobody used it; the pool has replaced it already. */
  onIdleLoss?: (error: Error) => void
}

// Money is `bigint` and must never pass through a float: the driver's defaults give int8 as a string and
// arrays of numeric as floats. Set for the whole driver, not for a pool, because Drizzle reads raw results
// with the global parsers and one column would otherwise have two types.
const { builtins } = pg.types
// https://www.postgresql.org/docs/current/catalog-pg-type.html; the typings name only the scalar types.
type Oid = Parameters<typeof pg.types.setTypeParser>[0]
const INT8_ARRAY = 1016 as number as Oid
const NUMERIC_ARRAY = 1231 as number as Oid
const TEXT_ARRAY = 1009 as number as Oid
const textArray: (value: string) => (string | null)[] = pg.types.getTypeParser(TEXT_ARRAY)
pg.types.setTypeParser(builtins.INT8, BigInt)
pg.types.setTypeParser(INT8_ARRAY, (value) =>
  textArray(value).map((item) => (item === null ? null : BigInt(item))),
)
pg.types.setTypeParser(NUMERIC_ARRAY, textArray)

/**
 * Makes the connections to PostgreSQL. `int8` is a `bigint`, `numeric` a decimal string and `timestamptz` a
 * `Date`: milliseconds are all that the wire format carries.
 */
export function createPool(options: PoolOptions): pg.Pool {
  const statementTimeoutMs = options.statementTimeoutMs ?? DATABASE_LIMITS.statementTimeoutMs
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.connections ?? DATABASE_LIMITS.poolConnections,
    connectionTimeoutMillis: options.connectTimeoutMs ?? DATABASE_LIMITS.connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + DATABASE_LIMITS.unansweredGraceMs,
    idle_in_transaction_session_timeout: DATABASE_LIMITS.idleTransactionTimeoutMs,
    application_name: options.applicationName ?? 'orien',
    keepAlive: true,
  })
  // Without a listener the loss of an idle connection would end the process.
  pool.on('error', (error) => options.onIdleLoss?.(error))
  return pool
}

/**
 * Runs `work` in one transaction on one connection: committed when it returns, rolled back when it throws.
 * Nothing is tried twice; whether to is the caller's decision, who knows its idempotency key.
 *
 * @throws OrienError `database_unavailable` when the connection is lost, `database_busy`, `database_full`,
 *   `database_read_only`, `database_damaged`, `timed_out`; `facts.outcome` is `unknown` when the answer to the
 *   commit is what was lost, else `not_committed`
 * @example
 * const balance = await inTransaction(pool, (client) => client.query('SELECT …'))
 */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw databaseFailure(error, 'not_committed')
  })
  // A connection cut between two statements has no query to reject and would end the process.
  const onCut = () => {}
  client.on('error', onCut)
  let outcome: Outcome = 'not_committed'
  let isUsable = true
  try {
    await client.query('BEGIN')
    const result = await work(client)
    outcome = 'unknown'
    const { command } = await client.query('COMMIT')
    invariant(command === 'COMMIT', 'no failed statement of a transaction was swallowed')
    return result
  } catch (error) {
    const failure = databaseFailure(error, outcome)
    isUsable = !isLost(failure) && (await isRolledBack(client))
    throw failure
  } finally {
    client.off('error', onCut)
    client.release(!isUsable)
  }
}

const isLost = (failure: unknown): boolean =>
  failure instanceof OrienError && failure.code === 'database_unavailable'

async function isRolledBack(client: pg.PoolClient): Promise<boolean> {
  try {
    await client.query('ROLLBACK')
    return true
  } catch {
    // Closing the connection rolls back as well, and the first error is the one worth throwing.
    return false
  }
}
