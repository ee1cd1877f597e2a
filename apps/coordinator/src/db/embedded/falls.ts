import type { RefusalReason } from './refusal.ts'

/** How often and how fast PostgreSQL is brought back. */
export type RestartPolicy = Record<
  'firstRestartPauseMs' | 'longestRestartPauseMs' | 'restartAttempts' | 'settledMs',
  number
>

// What ends without us: the next attempt after it finds PostgreSQL well. Giving up would leave it down.
const PASSING: ReadonlySet<RefusalReason> = new Set<RefusalReason>(['disk_full', 'port_taken'])

/** Counts deaths and failed starts in a row, and says how long to wait and when to stop trying. */
export function createFalls(policy: RestartPolicy) {
  let inARow = 0
  let pauseMs = 0
  const add = (reason: RefusalReason | null): void => {
    if (reason === null || !PASSING.has(reason)) inARow += 1
    pauseMs = Math.min(Math.max(pauseMs * 2, policy.firstRestartPauseMs), policy.longestRestartPauseMs)
  }
  return {
    died: (ranMs: number, reason: RefusalReason): void => {
      if (ranMs < policy.settledMs) add(reason)
      else {
        inARow = 0
        pauseMs = 0
      }
    },
    didNotStart: add,
    /** Before the next start: none after a PostgreSQL that had settled. */
    pauseMs: () => pauseMs,
    areTooMany: () => inARow >= policy.restartAttempts,
  }
}
