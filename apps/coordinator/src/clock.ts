/** The only place that reads a clock. Deadlines are judged by the database's; this one is for tokens and intervals. */
export type Clock = {
  now: () => Date
  /** Milliseconds that never jump, for intervals. */
  monotonicMs: () => number
  /** Calls back once. @returns how to call it off */
  after: (delayMs: number, callback: () => void) => () => void
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}
