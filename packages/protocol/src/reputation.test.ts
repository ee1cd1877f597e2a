import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { micros } from './money.ts'
import { feeOf, type PayerRecord, REPUTATION_PAYER_CAP_MICROS, scoreReputation } from './reputation.ts'

const amount = fc.bigInt({ min: 0n, max: 20_000_000n })
const payer: fc.Arbitrary<PayerRecord> = fc.record({ goodMicros: amount, badMicros: amount })
const payers = fc.array(payer, { maxLength: 20 })
const good = (goodMicros: bigint): PayerRecord => ({ goodMicros, badMicros: 0n })

describe('reliability', () => {
  it('is one half of somebody unknown, and rests on nothing', () => {
    expect(scoreReputation([])).toEqual({ reliability: 0.5, weightMicros: 0n })
  })

  it('needs fees before it is high: 4 USDC of them for nine in ten', () => {
    expect(scoreReputation([good(4_000_000n)]).reliability).toBe(0.9)
    expect(scoreReputation([good(100_000n)]).reliability).toBeLessThan(0.55)
  })

  it('stays within 0 and 1, rises with paid work and falls with lost work', () => {
    fc.assert(
      fc.property(payers, amount, (known, more) => {
        const before = scoreReputation(known).reliability
        expect(before).toBeGreaterThanOrEqual(0)
        expect(before).toBeLessThanOrEqual(1)
        expect(scoreReputation([...known, good(more)]).reliability).toBeGreaterThanOrEqual(before)
        const lost = { goodMicros: 0n, badMicros: more }
        expect(scoreReputation([...known, lost]).reliability).toBeLessThanOrEqual(before)
      }),
    )
  })
})

describe('whoever deals with himself', () => {
  it('shows no more than he lost in fees, by however many wallets he paid them', () => {
    fc.assert(
      fc.property(fc.array(amount, { maxLength: 50 }), (wallets) => {
        const lost = wallets.reduce((sum, fees) => sum + fees, 0n)
        const { weightMicros, reliability } = scoreReputation(wallets.map(good))
        expect(weightMicros).toBeLessThanOrEqual(lost)
        expect(reliability).toBeLessThanOrEqual(
          Number(2n * lost + 1_000_000n) / Number(2n * (lost + 1_000_000n)),
        )
      }),
    )
  })

  it('gets no further with one wallet than its cap', () => {
    const most = scoreReputation([good(REPUTATION_PAYER_CAP_MICROS)])
    expect(scoreReputation([good(1_000_000_000_000n)])).toEqual(most)
  })

  it('loses a tenth of what he pays himself, rounded up', () => {
    expect([feeOf(micros(1_000n)), feeOf(micros(1n)), feeOf(micros(0n))]).toEqual([100n, 1n, 0n])
  })
})
