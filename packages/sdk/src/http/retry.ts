import { ERRORS, OrienError } from '@orien/protocol/errors'
import { monotonicMs } from '../clock.ts'
import { jitterMs } from '../random.ts'

/** Attempts of one call at most, the first included. */
const MAX_ATTEMPTS = 5
const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 5_000

/**
 * Whether the same request may be sent again without being asked: the network lost it, or the other side is busy.
 * A refusal on state or money (409, 402) is the caller's to see, even a retryable one: it is stored under its key.
 */
function isTransient(error: unknown): error is OrienError {
  return error instanceof OrienError && ERRORS[error.code].retryable && ERRORS[error.code].status >= 429
}

/** How long to wait before the next attempt: what was asked for, or ever longer. */
export function pauseMs(error: OrienError, attempt: number): number {
  const asked = error.facts.retryAfterMs
  if (typeof asked === 'number') return Math.min(asked, MAX_PAUSE_MS)
  return jitterMs(Math.min(FIRST_PAUSE_MS * 2 ** attempt, MAX_PAUSE_MS))
}

/** Waits, unless aborted first. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms)
    function done() {
      signal?.removeEventListener('abort', aborted)
      resolve()
    }
    function aborted() {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    if (signal?.aborted) aborted()
    else signal?.addEventListener('abort', aborted, { once: true })
  })
}

/**
 * Repeats an attempt while its failure is transient, within a deadline.
 *
 * @param input.repeatable whether a second attempt can do no harm: it reads, or it carries an Idempotency-Key
 */
export async function withRetries<T>(
  input: { repeatable: boolean; deadlineAtMs: number; signal?: AbortSignal | undefined },
  attempt: () => Promise<T>,
): Promise<T> {
  for (let made = 1; ; made += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (!input.repeatable || !isTransient(error) || made >= MAX_ATTEMPTS) throw error
      const waitMs = pauseMs(error, made)
      if (monotonicMs() + waitMs >= input.deadlineAtMs) throw error
      await pause(waitMs, input.signal)
    }
  }
}
