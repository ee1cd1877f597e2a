import { OrienError } from '@orien/protocol'

/** What a failure of the database is called outside the database layer. */
type DatabaseCode =
  | 'database_unavailable'
  | 'database_busy'
  | 'database_full'
  | 'database_read_only'
  | 'database_damaged'
  | 'timed_out'

// https://www.postgresql.org/docs/current/errcodes-appendix.html, the first match counts. Constraints and the
// like are not here: those are answers about the data, and the verb that asked knows what they mean.
const CODES_BY_STATE: readonly (readonly [states: RegExp, code: DatabaseCode])[] = [
  [/^53100$/, 'database_full'],
  [/^25006$/, 'database_read_only'],
  // Deadlock, serialisation, a lock that was not free in time; memory, connections, a configured limit.
  [/^(40P01|40001|55P03|53...)$/, 'database_busy'],
  [/^57014$/, 'timed_out'],
  // The server's operating system fails it (a read or write error, a file that is gone), or its files are wrong.
  [/^(58...|XX001|XX002)$/, 'database_damaged'],
  // The connection is lost, or the server is going away or coming up.
  [/^(08...|57P0[1-5]|25P03|25P04)$/, 'database_unavailable'],
]

/** Of a connection that was never made: no work of ours can have been done on it. */
const BEFORE_ANY_WORK = /^(53300|57P03|ECONNREFUSED|ENOTFOUND|EAI_AGAIN)$/

const LOST_SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])

// The driver gives these no code.
const LOST_MESSAGES =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|timeout expired|Query read timeout|Cannot use a pool after calling end)/

/** What is known about the work of a failed call. */
export type Outcome = 'not_committed' | 'unknown'

/**
 * Turns a failure of the database itself into its code and leaves every other error as it is.
 *
 * @param outcome `unknown` when the answer to a commit may be what was lost. A server that lives on and says
 *   ERROR has rolled back, and that is told whatever is given here.
 * @returns OrienError with `outcome` among its facts, or `error` itself
 */
export function databaseFailure(error: unknown, outcome: Outcome): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof OrienError) return error
    const failure = failureOf(cause)
    if (!failure) continue
    const known = failure.isNotDone ? 'not_committed' : outcome
    return new OrienError(failure.code, undefined, { outcome: known }, { cause: error })
  }
  return error
}

/** Whether a failure is of the whole database, so that a smaller or a next piece of work would meet it too. */
export function isOutage(failure: unknown): failure is OrienError {
  return failure instanceof OrienError && OUTAGES.has(failure.code)
}

const OUTAGES: ReadonlySet<string> = new Set<DatabaseCode>([
  'database_unavailable',
  'database_full',
  'database_read_only',
  'database_damaged',
  'timed_out',
])

function failureOf(error: Error): { code: DatabaseCode; isNotDone: boolean } | null {
  const state = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const code = CODES_BY_STATE.find(([states]) => states.test(state))?.[1]
  const isLost = LOST_SYSTEM_CODES.has(state) || LOST_MESSAGES.test(error.message)
  if (!code && !isLost) return null
  const isNotDone = saysError(error) || BEFORE_ANY_WORK.test(state)
  return { code: code ?? 'database_unavailable', isNotDone }
}

// FATAL and PANIC end the server process that may just have committed. A server that speaks another language
// translates the word, and then the outcome stays what the caller can be sure of.
const saysError = (error: Error): boolean => 'severity' in error && error.severity === 'ERROR'
