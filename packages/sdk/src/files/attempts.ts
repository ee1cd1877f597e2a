import { ERRORS, OrienError } from '@orien/protocol'
import { monotonicMs } from '../clock.ts'
import { pause, pauseMs } from '../http/retry.ts'

/** How far a transfer is. */
export type Progress = {
  /** Sent or received, those of an earlier attempt included. */
  doneBytes: number
  bytes: number
}

/** What a transfer may be given beside its file. */
export type TransferOptions = {
  signal?: AbortSignal | undefined
  /** Called as the bytes go; not more often than once a piece. */
  onProgress?: ((progress: Progress) => void) | undefined
}

/**
 * Goes on with a transfer for as long as it makes headway: a lost connection, a coordinator or a node that is started
 * again, a place that is not free yet. What is refused for good is thrown.
 *
 * @param patienceMs without headway for this long it is given up
 * @param step moves some bytes; returns undefined when there is more to do
 * @param doneBytes how far it is
 */
export async function keepAtIt<T>(
  { signal, patienceMs }: { signal?: AbortSignal | undefined; patienceMs: number },
  doneBytes: () => number,
  step: () => Promise<T | undefined>,
): Promise<T> {
  let fromMs = monotonicMs()
  let reached = -1
  let failures = 0
  for (;;) {
    try {
      const result = await step()
      if (result !== undefined) return result
      failures = 0
    } catch (error) {
      if (!isPassing(error) || signal?.aborted) throw error
      if (doneBytes() > reached) {
        reached = doneBytes()
        fromMs = monotonicMs()
        failures = 0
      }
      const waitMs = pauseMs(error, failures)
      if (monotonicMs() + waitMs - fromMs >= patienceMs) throw error
      failures += 1
      await pause(waitMs, signal)
    }
  }
}

function isPassing(error: unknown): error is OrienError {
  return error instanceof OrienError && ERRORS[error.code].retryable
}
