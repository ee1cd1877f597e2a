import type { Clock } from '../../apps/provider-node/src/clock.ts'

/** A clock that moves only when the simulation moves it. */
export type SimulatedClock = Clock & {
  /** Until the next timer is due; null without any. */
  nextInMs: () => number | null
  /** Moves on and calls what is due, in its order. */
  advance: (ms: number) => void
}

const START_MS = Date.parse('2026-06-01T00:00:00.000Z')

export function createSimulatedClock(): SimulatedClock {
  let elapsedMs = 0
  let timers: { atMs: number; callback: () => void }[] = []
  const earliest = () =>
    timers.reduce<number | null>((least, { atMs }) => Math.min(least ?? atMs, atMs), null)
  return {
    nowMs: () => START_MS + elapsedMs,
    monotonicMs: () => elapsedMs,
    after: (delayMs, callback) => {
      const timer = { atMs: elapsedMs + delayMs, callback }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    nextInMs: () => {
      const atMs = earliest()
      return atMs === null ? null : atMs - elapsedMs
    },
    advance: (ms) => {
      const untilMs = elapsedMs + ms
      for (let atMs = earliest(); atMs !== null && atMs <= untilMs; atMs = earliest()) {
        elapsedMs = Math.max(elapsedMs, atMs)
        const due = timers.find((timer) => timer.atMs === atMs)
        timers = timers.filter((timer) => timer !== due)
        due?.callback()
      }
      elapsedMs = untilMs
    },
  }
}

/** Everything that follows from what has happened, with nothing outside this process to wait for. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve))
}
