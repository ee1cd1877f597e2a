import type { Clock } from '../clock.ts'

/** A clock that stands still until the test moves it. */
export type TestClock = Clock & { advance(ms: number): Promise<void> }

export function createTestClock(startMs = Date.parse('2026-06-01T00:00:00.000Z')): TestClock {
  let elapsedMs = 0
  let timers: { atMs: number; callback: () => void }[] = []
  /** Lets promises that the callbacks resolved go on. */
  const settle = async () => {
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate)
  }
  return {
    nowMs: () => startMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    after: (delayMs, callback) => {
      const timer = { atMs: elapsedMs + delayMs, callback }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    advance: async (ms) => {
      await settle()
      elapsedMs += ms
      const due = timers.filter(({ atMs }) => atMs <= elapsedMs).sort((a, b) => a.atMs - b.atMs)
      timers = timers.filter(({ atMs }) => atMs > elapsedMs)
      for (const { callback } of due) callback()
      await settle()
    },
  }
}
