import { OrienError } from '@orien/protocol'

// https://www.postgresql.org/docs/current/errcodes-appendix.html. Class 08 is connection, 53 a resource the
// server lacks, 58 its operating system; of class 57 only what says that the server goes away.
const LOST_STATES = /^(08...|53...|58...|57P0[1-5]|25P03|25P04)$/

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
 * Turns the loss of the database into its code and leaves every other error as it is.
 *
 * @param outcome `unknown` when the answer to a commit may be what was lost
 * @returns OrienError `database_unavailable` with `outcome` among its facts, or `error` itself
 */
export function databaseFailure(error: unknown, outcome: Outcome): unknown {
  if (!isConnectionLoss(error)) return error
  return new OrienError('database_unavailable', undefined, { outcome }, { cause: error })
}

function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof OrienError) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (LOST_STATES.test(code) || LOST_SYSTEM_CODES.has(code)) return true
  return LOST_MESSAGES.test(error.message) || isConnectionLoss(error.cause)
}
