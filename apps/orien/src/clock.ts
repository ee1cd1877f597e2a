/** The only place that reads a clock. */
export type Clock = {
  now: () => Date
  /** Milliseconds that never jump, for intervals. */
  monotonicMs: () => number
}

export const systemClock: Clock = { now: () => new Date(), monotonicMs: () => performance.now() }
