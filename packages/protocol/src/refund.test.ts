import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { micros } from './money.ts'
import { missingOutputs, planRefund, REFUND_DAILY_CAP_MICROS } from './refund.ts'
import { splitCumulative } from './split.ts'

const receipt = (names: string[], status: 'completed' | 'failed' = 'completed') => ({
  status,
  outputs: names.map((name) => ({ name, sha256: '0'.repeat(64), bytes: 1 })),
})

describe('a promised file', () => {
  test('that a completed run has not written is missing; a pattern promises none', () => {
    const tool = { outputs: ['image.png', 'log.txt', '*.tmp', 'dist/*'] }
    expect(missingOutputs(tool, receipt(['image.png']))).toEqual(['log.txt'])
    expect(missingOutputs(tool, receipt(['log.txt', 'image.png']))).toEqual([])
  })

  test('is not owed by a run that failed', () => {
    expect(missingOutputs({ outputs: ['image.png'] }, receipt([], 'failed'))).toEqual([])
  })
})

describe('a refund', () => {
  const none = { contributedMicros: 0n, refundedMicros: 0n, refundedTodayMicros: 0n }

  test('is nothing while the provider has put nothing into the reserve', () => {
    expect(planRefund(micros(2_000n), none)).toBe(0n)
  })

  test('is bounded by the loss, by the provider’s own share of the reserve, and by the day', () => {
    const rich = { ...none, contributedMicros: 100_000_000n }
    expect(planRefund(micros(2_000n), rich)).toBe(2_000n)
    expect(planRefund(micros(2_000n), { ...rich, contributedMicros: 300n })).toBe(300n)
    expect(planRefund(micros(2_000n), { ...rich, contributedMicros: 300n, refundedMicros: 299n })).toBe(1n)
    expect(planRefund(micros(100_000_000n), rich)).toBe(REFUND_DAILY_CAP_MICROS)
    const spent = { ...rich, refundedMicros: 4_999_999n, refundedTodayMicros: 4_999_999n }
    expect(planRefund(micros(2_000n), spent)).toBe(1n)
  })

  test('never brings an agent and a provider that are one and the same back what they paid in fees', () => {
    const sessions = fc.array(fc.bigInt({ min: 100n, max: 10n ** 9n }), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(sessions, (costs) => {
        let [paid, received, contributed, refunded] = [0n, 0n, 0n, 0n]
        for (const cost of costs) {
          const { providerMicros, reserveMicros } = splitCumulative(micros(cost))
          paid += cost
          received += providerMicros
          contributed += reserveMicros
          // Every session claims that all of it was lost, and each on a day of its own.
          const bounds = {
            contributedMicros: contributed,
            refundedMicros: refunded,
            refundedTodayMicros: 0n,
          }
          refunded += planRefund(micros(cost), bounds)
        }
        expect(received + refunded).toBeLessThan(paid)
        expect(refunded).toBeLessThanOrEqual(contributed)
      }),
    )
  })
})
