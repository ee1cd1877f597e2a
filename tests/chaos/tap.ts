/**
 * What becomes of the one message at which a fault strikes. `cut` ends its connection with the message undelivered,
 * `later` lets the next one of its direction pass first, `held` keeps everything behind it waiting for a while.
 */
export type Verdict = 'deliver' | 'drop' | 'cut' | 'twice' | 'later' | 'held' | 'refuse'

/** Counts what passes between the processes and strikes at the n-th passage of one site. */
export type Tap = {
  /** Called by every link for each message; resolves when the message may go on its way. */
  pass: (site: string) => Promise<Verdict>
  /** Arms one strike: from now on, the n-th passage of `site` (1 is the next one) calls `strike` once. */
  arm: (site: string, nth: number, strike: () => Promise<Verdict>) => void
  disarm: () => void
  hasStruck: () => boolean
  /** Passages since the last `arm` or `disarm`, by site. */
  counts: () => ReadonlyMap<string, number>
}

export function createTap(): Tap {
  let counts = new Map<string, number>()
  let armed: { site: string; nth: number; strike: () => Promise<Verdict> } | null = null
  let hasStruck = false
  const reset = () => {
    counts = new Map()
    hasStruck = false
  }
  return {
    pass: async (site) => {
      const seen = (counts.get(site) ?? 0) + 1
      counts.set(site, seen)
      if (armed?.site !== site || armed.nth !== seen || hasStruck) return 'deliver'
      hasStruck = true
      return armed.strike()
    },
    arm: (site, nth, strike) => {
      reset()
      armed = { site, nth, strike }
    },
    disarm: () => {
      armed = null
    },
    hasStruck: () => hasStruck,
    counts: () => counts,
  }
}
