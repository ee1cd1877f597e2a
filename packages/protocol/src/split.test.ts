import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantViolation } from './invariant.ts'
import { MAX_MICROS, micros, type UsdcMicros } from './money.ts'
import { CLAIM_STEP_MICROS, partialClaim, type Shares, SPLIT, splitCumulative, splitDelta } from './split.ts'

const amount = fc
  .oneof(fc.bigInt({ min: 0n, max: MAX_MICROS }), fc.bigInt({ min: 0n, max: 100_000n }))
  .map(micros)

const sum = (shares: Shares): bigint => shares.providerMicros + shares.platformMicros + shares.reserveMicros

const plus = (a: Shares, b: Shares): Shares => ({
  providerMicros: micros(a.providerMicros + b.providerMicros),
  platformMicros: micros(a.platformMicros + b.platformMicros),
  reserveMicros: micros(a.reserveMicros + b.reserveMicros),
})

/** What is paid when an amount is claimed in the given steps and then closed. */
function claimInSteps(total: UsdcMicros, steps: readonly bigint[]): Shares {
  let claimed = micros(0n)
  let paid = splitCumulative(claimed)
  for (const step of steps) {
    const next = partialClaim(micros(claimed + step < total ? claimed + step : total))
    paid = plus(paid, splitDelta(claimed, next))
    claimed = next
  }
  return plus(paid, splitDelta(claimed, total))
}

describe('a split', () => {
  it('is 90, 7 and 3 percent', () => {
    expect(SPLIT.providerBps + SPLIT.platformBps + SPLIT.reserveBps).toBe(10_000n)
    expect(splitCumulative(micros(1_000_000n))).toEqual({
      providerMicros: 900_000n,
      platformMicros: 70_000n,
      reserveMicros: 30_000n,
    })
  })

  it.each([
    [0n, 0n, 0n, 0n],
    [1n, 0n, 0n, 1n],
    [9n, 8n, 0n, 1n],
    [14n, 12n, 0n, 2n],
    [15n, 13n, 1n, 1n],
    [99n, 89n, 6n, 4n],
    [100n, 90n, 7n, 3n],
  ])('of %s pays %s, %s and %s', (total, provider, platform, reserve) => {
    expect(splitCumulative(micros(total))).toEqual({
      providerMicros: provider,
      platformMicros: platform,
      reserveMicros: reserve,
    })
  })

  it('pays out every amount exactly, and no share is negative', () => {
    fc.assert(
      fc.property(amount, (total) => {
        const shares = splitCumulative(total)
        expect(sum(shares)).toBe(total)
        expect(shares.reserveMicros).toBeGreaterThanOrEqual((total * SPLIT.reserveBps) / 10_000n)
        expect(shares.reserveMicros).toBeLessThanOrEqual((total * SPLIT.reserveBps) / 10_000n + 2n)
      }),
    )
  })
})

describe('a claim in parts', () => {
  it('from 14 to 15 would take from the reserve, which is why a partial claim is a multiple of 100', () => {
    expect(() => splitDelta(micros(14n), micros(15n))).toThrow(InvariantViolation)
    expect(partialClaim(micros(14n))).toBe(0n)
    expect(claimInSteps(micros(15n), [14n])).toEqual(splitCumulative(micros(15n)))
  })

  it('is floored to the step', () => {
    expect(partialClaim(micros(199n))).toBe(100n)
    expect(partialClaim(micros(200n))).toBe(200n)
    expect(partialClaim(micros(MAX_MICROS)) % CLAIM_STEP_MICROS).toBe(0n)
  })

  it('pays exactly what one claim would, for any number of parts', () => {
    const steps = fc.array(fc.bigInt({ min: 0n, max: 5_000n }), { maxLength: 60 })
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 100_000n }), steps, (total, parts) => {
        expect(claimInSteps(micros(total), parts)).toEqual(splitCumulative(micros(total)))
      }),
      { numRuns: 500 },
    )
  })

  it('in a thousand parts pays what one claim pays', () => {
    const total = micros(987_654_321n)
    const parts = Array.from({ length: 1_000 }, (_, index) => BigInt(index * 1_973))
    expect(claimInSteps(total, parts)).toEqual(splitCumulative(total))
  })

  it('never has a negative share after a partial claim', () => {
    fc.assert(
      fc.property(amount, amount, (a, b) => {
        const [before, after] = a < b ? [partialClaim(a), b] : [partialClaim(b), a]
        expect(sum(splitDelta(before, after))).toBe(after - before)
      }),
    )
  })
})
