/** A figure at a time, in minutes since the start. */
export type Point = { minute: number; value: number }

/** Growth that is still called flat, per hour: of a resident set, of what is alive in it, and of open descriptors. */
export const FLAT_PER_HOUR = { rssMebibytes: 24, liveMebibytes: 8, descriptors: 12 } as const

const median = (values: readonly number[]) => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2
}

/**
 * Growth per hour as the median of the slopes between all pairs of points (Theil and Sen): a garbage collection or a
 * busy minute moves it little, a leak moves all of it.
 */
export function growthPerHour(points: readonly Point[]): number {
  const slopes = points.flatMap((from, index) =>
    points
      .slice(index + 1)
      .filter((to) => to.minute > from.minute)
      .map((to) => (to.value - from.value) / (to.minute - from.minute)),
  )
  return slopes.length === 0 ? 0 : median(slopes) * 60
}

export { median }
