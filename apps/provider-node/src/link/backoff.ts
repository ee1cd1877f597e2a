import type { Timing } from '../limits.ts'

/**
 * How long to wait before the next attempt: doubled each time up to the longest, then anywhere between half of that
 * and all of it, so that nodes that lost one coordinator together do not come back together.
 *
 * @param attempt 0 for the first
 * @param fraction uniform in [0, 1)
 */
export function backoffMs(
  attempt: number,
  fraction: number,
  { reconnectMs, reconnectMaxMs }: Pick<Timing, 'reconnectMs' | 'reconnectMaxMs'>,
): number {
  const fullMs = Math.min(reconnectMaxMs, reconnectMs * 2 ** Math.min(attempt, 30))
  return Math.round(fullMs * (0.5 + fraction / 2))
}
