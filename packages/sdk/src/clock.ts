/** A clock that only goes forward, in milliseconds; for durations and deadlines. */
export function monotonicMs(): number {
  return performance.now()
}

/** The coordinator's clock, as far as its answers told it. */
export type ServerClock = {
  /** Learns from the `Date` of an answer. */
  learn: (headers: { get: (name: string) => string | null }) => void
  /** Milliseconds since 1970; our own clock before the first answer. */
  nowMs: () => number
}

/** A clock for one coordinator: an agent's own may be wrong by hours, and a deposit's life is counted on it. */
export function createServerClock(): ServerClock {
  let aheadMs = 0
  return {
    learn: (headers) => {
      const serverMs = Date.parse(headers.get('date') ?? '')
      if (!Number.isNaN(serverMs)) aheadMs = serverMs - Date.now()
    },
    nowMs: () => Date.now() + aheadMs,
  }
}
