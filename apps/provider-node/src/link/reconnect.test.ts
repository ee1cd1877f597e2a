import { afterEach, expect, test } from 'vitest'
import { DEFAULT_TIMING } from '../limits.ts'
import { silentLog } from '../log.ts'
import { createTestClock } from '../testing/clock.ts'
import { createSkewMeter } from './clockSkew.ts'
import { Link } from './link.ts'

let stop = async () => {}
afterEach(() => stop())

test('attempts come after doubling pauses with jitter up to the longest, in this order, and stop with the node', async () => {
  const clock = createTestClock()
  const pausesMs: number[] = []
  let attempts = 0
  const paused = {
    ...clock,
    after: (delayMs: number, callback: () => void) => {
      pausesMs.push(delayMs)
      return clock.after(delayMs, callback)
    },
  }
  // 0 and just below 1 by turns: the shortest and the longest that jitter makes of a pause.
  const fractions = [0, 0.999_999]
  const link = new Link({
    coordinatorUrl: 'http://127.0.0.1:1',
    register: async () => {
      attempts += 1
      throw new TypeError('nobody answers')
    },
    hello: () => {
      throw new TypeError('nobody asks')
    },
    heartbeat: () => {
      throw new TypeError('nobody listens')
    },
    onLive: () => {},
    onMessage: () => {},
    clock: paused,
    random: { bytes: (count) => new Uint8Array(count), fraction: () => fractions[attempts % 2] ?? 0 },
    timing: DEFAULT_TIMING,
    log: silentLog,
  })
  stop = () => link.stop()
  for (let round = 0; round < 9; round += 1) await clock.advance(DEFAULT_TIMING.reconnectMaxMs)
  expect(pausesMs.slice(0, 9)).toEqual([500, 500, 2_000, 2_000, 8_000, 8_000, 30_000, 15_000, 30_000])
  const before = attempts
  await link.stop()
  await clock.advance(DEFAULT_TIMING.reconnectMaxMs)
  expect(attempts).toBe(before)
})

test('the skew is half way between question and answer, with its bound, and follows a clock that is set', () => {
  let wallMs = 1_000_000
  let monotonicMs = 0
  const clock = { nowMs: () => wallMs, monotonicMs: () => monotonicMs, after: () => () => {} }
  const pass = (ms: number) => {
    wallMs += ms
    monotonicMs += ms
  }
  const meter = createSkewMeter(clock)
  expect(meter.current()).toBeUndefined()
  const answer = meter.ask()
  pass(40)
  answer(new Date(1_000_000 + 20 + 700).toISOString())
  expect(meter.current()).toEqual({ skewMs: 700, uncertaintyMs: 20 })
  pass(3_600_000)
  expect(meter.current()).toEqual({ skewMs: 700, uncertaintyMs: 20 })
  wallMs += 700
  expect(meter.current()).toEqual({ skewMs: 0, uncertaintyMs: 20 })
})
