/** The only place that reads a clock. Deadlines are judged by the database's; this one is for tokens and intervals. */
export type Clock = {
  now: () => Date
  /** Milliseconds that never jump, for intervals. */
  monotonicMs: () => number
}

export const systemClock: Clock = { now: () => new Date(), monotonicMs: () => performance.now() }
