import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from './limits.ts'
import { billedMs, costMicros, deadlineMs, sizeGrant } from './meter.ts'
import { MAX_MICROS, micros } from './money.ts'
import { durationMs, MAX_DURATION_MS } from './time.ts'

const rate = fc
  .oneof(
    fc.bigInt({ min: 1n, max: LIMITS.maximumRateMicros }),
    fc.bigInt({ min: 1n, max: 10_000_000n }),
    fc.constantFrom(1n, 59_999n, 60_000n, 60_001n, LIMITS.maximumRateMicros),
  )
  .map(micros)
const anyAmount = fc.bigInt({ min: 0n, max: MAX_MICROS }).map(micros)
const budget = fc.oneof(anyAmount, fc.bigInt({ min: 0n, max: 100_000_000n }).map(micros))
const ms = fc.oneof(fc.nat(MAX_DURATION_MS), fc.nat(1_000)).map(durationMs)
const effectiveMicros = fc.oneof(fc.nat(2_000_000), fc.maxSafeNat())

describe('the budget is a hard stop', () => {
  it('for every hold, price and time: what a run costs never exceeds its hold', () => {
    fc.assert(
      fc.property(budget, rate, effectiveMicros, (hold, price, time) => {
        const deadline = deadlineMs(hold, price)
        fc.pre(deadline > 0)
        expect(costMicros(price, billedMs(time, deadline))).toBeLessThanOrEqual(hold)
      }),
      { numRuns: 1_000 },
    )
  })

  it('and not a millisecond is given away: one more would exceed the hold', () => {
    fc.assert(
      fc.property(budget, rate, (hold, price) => {
        const deadline = deadlineMs(hold, price)
        fc.pre(deadline < MAX_DURATION_MS)
        expect(costMicros(price, durationMs(deadline + 1))).toBeGreaterThan(hold)
      }),
    )
  })

  it('for every grant: its hold is within budget, cap and limit, and covers its deadline', () => {
    const limitMs = fc.integer({ min: LIMITS.minimumGrantMs, max: MAX_DURATION_MS }).map(durationMs)
    const cap = fc.option(budget, { nil: undefined })
    fc.assert(
      fc.property(rate, limitMs, cap, budget, (price, limit, maxCostMicros, unheldMicros) => {
        const grant = sizeGrant({ rate: price, limitMs: limit, maxCostMicros, unheldMicros })
        if (!grant.ok) {
          const most =
            maxCostMicros !== undefined && maxCostMicros < unheldMicros ? maxCostMicros : unheldMicros
          expect(costMicros(price, durationMs(LIMITS.minimumGrantMs))).toBeGreaterThan(most)
          return
        }
        expect(grant.holdMicros).toBeLessThanOrEqual(unheldMicros)
        if (maxCostMicros !== undefined) expect(grant.holdMicros).toBeLessThanOrEqual(maxCostMicros)
        expect(grant.holdMicros).toBeLessThanOrEqual(costMicros(price, limit))
        expect(grant.deadlineMs).toBeLessThanOrEqual(limit)
        expect(grant.deadlineMs).toBeGreaterThanOrEqual(LIMITS.minimumGrantMs)
        expect(costMicros(price, grant.deadlineMs)).toBeLessThanOrEqual(grant.holdMicros)
      }),
      { numRuns: 1_000 },
    )
  })

  it('over any number of runs in a row: the sum of their costs never exceeds the budget', () => {
    const runs = fc.array(
      fc.record({ time: fc.nat(5_000_000), cap: fc.option(fc.bigInt({ min: 0n, max: 60_000n })) }),
      {
        maxLength: 40,
      },
    )
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 1_000_000n }), rate, runs, (total, price, wanted) => {
        let spent = 0n
        for (const { time, cap } of wanted) {
          const grant = sizeGrant({
            rate: price,
            limitMs: durationMs(30_000),
            unheldMicros: micros(total - spent),
            maxCostMicros: cap === null ? undefined : micros(cap),
          })
          if (grant.ok) spent += costMicros(price, billedMs(time, grant.deadlineMs))
        }
        expect(spent).toBeLessThanOrEqual(total)
      }),
    )
  })
})

describe('cost', () => {
  it('never falls with time or price', () => {
    fc.assert(
      fc.property(rate, ms, ms, (price, a, b) => {
        const [short, long] = a < b ? [a, b] : [b, a]
        expect(costMicros(price, short)).toBeLessThanOrEqual(costMicros(price, long))
        if (price < LIMITS.maximumRateMicros) {
          expect(costMicros(price, a)).toBeLessThanOrEqual(costMicros(micros(price + 1n), a))
        }
      }),
    )
  })

  it('is the exact fraction rounded up by less than one micro-USDC', () => {
    fc.assert(
      fc.property(rate, ms, (price, time) => {
        const excess = costMicros(price, time) * 60_000n - price * BigInt(time)
        expect(excess >= 0n && excess < 60_000n).toBe(true)
      }),
    )
  })
})
