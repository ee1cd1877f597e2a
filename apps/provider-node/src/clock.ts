/** The one place that reads a clock; everything else is given one, so that a test decides what time it is. */
export type Clock = {
  /** Milliseconds since 1970. */
  nowMs(): number
  /** Milliseconds that only grow, whatever happens to the wall clock. */
  monotonicMs(): number
  /** Calls back once. @returns how to call it off */
  after(delayMs: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

/** An instant as it is written into receipts and messages. */
export function instantOf(ms: number): string {
  return new Date(ms).toISOString()
}

/** Resolves after a delay, or at once when the signal is aborted. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const cancel = clock.after(delayMs, done)
    const abort = () => {
      cancel()
      done()
    }
    function done() {
      signal?.removeEventListener('abort', abort)
      resolve()
    }
    signal?.addEventListener('abort', abort, { once: true })
  })
}
