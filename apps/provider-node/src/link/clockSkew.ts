import type { Clock } from '../clock.ts'

/** How far apart the clocks of node and coordinator are. */
export type ClockSkew = {
  /** What the coordinator's clock is ahead of ours, milliseconds; negative when ours is ahead. */
  skewMs: number
  /** The true figure is at most this far from it: half of the time that asking took. */
  uncertaintyMs: number
}

/** Measures at each welcome, and follows our own clock when somebody sets it in between. */
export type SkewMeter = {
  /** Our side has asked. @returns what takes the coordinator's answer */
  ask(): (serverTime: string) => void
  current(): ClockSkew | undefined
}

export function createSkewMeter(clock: Clock): SkewMeter {
  let measured: (ClockSkew & { offsetMs: number }) | undefined
  // The monotonic clock is nobody's to set: what the wall clock moves against it is a change of the skew.
  const offsetMs = () => clock.nowMs() - clock.monotonicMs()
  return {
    ask: () => {
      const askedMs = clock.monotonicMs()
      return (serverTime) => {
        const answeredMs = clock.monotonicMs()
        const middleMs = offsetMs() + (askedMs + answeredMs) / 2
        measured = {
          skewMs: Date.parse(serverTime) - middleMs,
          uncertaintyMs: (answeredMs - askedMs) / 2,
          offsetMs: offsetMs(),
        }
      }
    },
    current: () => {
      if (!measured) return undefined
      const movedMs = offsetMs() - measured.offsetMs
      return {
        skewMs: Math.round(measured.skewMs - movedMs),
        uncertaintyMs: Math.ceil(measured.uncertaintyMs),
      }
    },
  }
}
