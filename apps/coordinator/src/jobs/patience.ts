import type { Clock } from '../clock.ts'

/** Remembers what failed, so that it neither fills the log nor keeps a pass from what can be done. */
export type Patience = {
  isDue: (key: string) => boolean
  /** What is left alone for now. */
  resting: () => string[]
  failed: (key: string) => void
  worked: (key: string) => void
  /** Something has changed: everything is due again. */
  forget: () => void
}

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
/** Keys remembered; beyond it the oldest is due at once. */
const MAX_KEYS = 10_000

/** Pauses double with every failure in a row, up to half a minute. */
export function createPatience(clock: Pick<Clock, 'monotonicMs'>): Patience {
  const rests = new Map<string, { untilMs: number; pauseMs: number }>()
  const isDue = (key: string) => (rests.get(key)?.untilMs ?? 0) <= clock.monotonicMs()
  return {
    isDue,
    resting: () => [...rests.keys()].filter((key) => !isDue(key)),
    failed: (key) => {
      const before = rests.get(key)
      const pauseMs = before ? Math.min(before.pauseMs * 2, LONGEST_PAUSE_MS) : FIRST_PAUSE_MS
      rests.delete(key)
      rests.set(key, { untilMs: clock.monotonicMs() + pauseMs, pauseMs })
      const [oldest] = rests.keys()
      if (rests.size > MAX_KEYS && oldest !== undefined) rests.delete(oldest)
    },
    worked: (key) => void rests.delete(key),
    forget: () => rests.clear(),
  }
}
