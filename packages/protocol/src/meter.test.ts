import { describe, expect, it } from 'vitest'
import { InvariantViolation } from './invariant.ts'
import { LIMITS } from './limits.ts'
import {
  billedMs,
  costMicros,
  deadlineMs,
  exactCost,
  isPlausible,
  rateMicrosPerMinute,
  sizeGrant,
} from './meter.ts'
import { MAX_MICROS, micros } from './money.ts'
import { durationMs, MAX_DURATION_MS } from './time.ts'

const rate = micros(600_000n)
const minute = durationMs(60_000)

describe('the time that is billed', () => {
  it.each([
    [0, 1],
    [1, 1],
    [999, 1],
    [1_000, 1],
    [1_001, 2],
    [1_999, 2],
    [59_999_000, 59_999],
    [59_999_001, 60_000],
    [60_000_001, 60_000],
    [10_000_000_000, 60_000],
  ])('%i µs with a deadline of a minute is %i ms', (effectiveMicros, expected) => {
    expect(billedMs(effectiveMicros, minute)).toBe(expected)
  })

  it('is never negative, fractional or endless: that would be our own mistake', () => {
    for (const wrong of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => billedMs(wrong, minute)).toThrow(InvariantViolation)
    }
  })
})

describe('what it costs', () => {
  it.each([
    [600_000n, 60_000, 600_000n],
    [600_000n, 1_500, 15_000n],
    [600_000n, 1, 10n],
    [1n, 1, 1n],
    [1n, 60_000, 1n],
    [1n, 60_001, 2n],
    [59_999n, 1, 1n],
    [60_000n, 1, 1n],
    [60_001n, 1, 2n],
    [600_000n, 0, 0n],
  ])('at %s a minute, %i ms cost %s', (price, ms, expected) => {
    expect(costMicros(micros(price), durationMs(ms))).toBe(expected)
  })

  it('for a day at the highest price is still an amount', () => {
    const day = costMicros(micros(LIMITS.maximumRateMicros), durationMs(MAX_DURATION_MS))
    expect(day).toBe(LIMITS.maximumRateMicros * 1_440n)
    expect(day).toBeLessThan(MAX_MICROS)
  })

  it('is computed without limit for figures of strangers, so a check of them cannot break', () => {
    expect(exactCost(MAX_MICROS, Number.MAX_SAFE_INTEGER)).toBeGreaterThan(MAX_MICROS)
  })
})

describe('a price on the wire', () => {
  it.each([['1'], [String(LIMITS.maximumRateMicros)]])('may be %s', (text) => {
    expect(rateMicrosPerMinute.safeDecode(text).success).toBe(true)
  })

  it.each([['0'], [String(LIMITS.maximumRateMicros + 1n)], ['-1'], ['1.5']])('may not be %s', (text) => {
    expect(rateMicrosPerMinute.safeDecode(text).success).toBe(false)
  })
})

describe('how long a hold lasts', () => {
  it.each([
    [600_000n, 60_000],
    [10n, 1],
    [9n, 0],
    [0n, 0],
    [15_000n, 1_500],
    [15_009n, 1_500],
    [15_010n, 1_501],
  ])('%s micro-USDC at 0.60 a minute last %i ms', (hold, expected) => {
    expect(deadlineMs(micros(hold), rate)).toBe(expected)
  })

  it('is a day at most', () => {
    expect(deadlineMs(micros(MAX_MICROS), micros(1n))).toBe(MAX_DURATION_MS)
  })

  it('needs a price', () => {
    expect(() => deadlineMs(micros(1n), micros(0n))).toThrow(InvariantViolation)
  })
})

describe('a grant', () => {
  const size = (unheld: bigint, maxCost?: bigint, limitMs = 60_000) =>
    sizeGrant({
      rate,
      limitMs: durationMs(limitMs),
      unheldMicros: micros(unheld),
      ...(maxCost === undefined ? {} : { maxCostMicros: micros(maxCost) }),
    })

  it('is the tool’s limit at the price when the budget allows', () => {
    expect(size(10_000_000n)).toEqual({ ok: true, holdMicros: 600_000n, deadlineMs: 60_000 })
  })

  it('is what the caller allows when that is less', () => {
    expect(size(10_000_000n, 15_000n)).toEqual({ ok: true, holdMicros: 15_000n, deadlineMs: 1_500 })
  })

  it('is what is left when that is less still', () => {
    expect(size(5_000n, 15_000n)).toEqual({ ok: true, holdMicros: 5_000n, deadlineMs: 500 })
  })

  it('of exactly the least time is given, of a micro-USDC less refused', () => {
    expect(size(1_000n)).toEqual({ ok: true, holdMicros: 1_000n, deadlineMs: LIMITS.minimumGrantMs })
    expect(size(999n)).toEqual({ ok: false, reason: 'budget_exhausted' })
  })

  it('of nothing is refused', () => {
    expect(size(0n)).toEqual({ ok: false, reason: 'budget_exhausted' })
    expect(size(10_000_000n, 0n)).toEqual({ ok: false, reason: 'budget_exhausted' })
  })

  it('for a tool shorter than the least time is given whole or not at all', () => {
    expect(size(10_000_000n, undefined, 50)).toEqual({ ok: true, holdMicros: 500n, deadlineMs: 50 })
    expect(size(499n, undefined, 50)).toEqual({ ok: false, reason: 'budget_exhausted' })
  })

  it('never lasts longer than the tool may run, whatever rounding would allow', () => {
    const tiny = sizeGrant({ rate: micros(1n), limitMs: durationMs(1_000), unheldMicros: micros(100n) })
    expect(tiny).toEqual({ ok: true, holdMicros: 1n, deadlineMs: 1_000 })
  })
})

describe('a node’s time', () => {
  it.each([
    [1_000, 1_000, true],
    [1_250, 1_000, true],
    [1_260, 1_000, true],
    [1_261, 1_000, false],
    [250, 0, true],
    [251, 0, false],
    [60_850, 60_000, true],
    [60_851, 60_000, false],
  ])('of %i ms, seen as %i ms from outside, is plausible: %s', (effective, observed, expected) => {
    expect(isPlausible(durationMs(effective), observed)).toBe(expected)
  })
})
