import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantViolation } from './invariant.ts'
import { type AccountName, planCapture, planDeposit, planSettlement, type Transfer } from './ledger.ts'
import { micros } from './money.ts'
import { splitCumulative } from './split.ts'

const ids = { rail: 'escrow', sessionId: 'ses_1', providerId: 'prv_1' }
const amount = fc.bigInt({ min: 0n, max: 1n << 60n }).map(micros)

/** What every account holds after some transfers. */
function balances(transfers: readonly Transfer[]): Map<AccountName, bigint> {
  const held = new Map<AccountName, bigint>()
  for (const { account, amountMicros } of transfers.flatMap(({ postings }) => postings)) {
    held.set(account, (held.get(account) ?? 0n) + amountMicros)
  }
  return held
}

describe('every transfer', () => {
  it('sums to zero and moves nothing for nothing', () => {
    fc.assert(
      fc.property(amount, amount, (a, b) => {
        const [depositMicros, spentMicros] = a > b ? [a, b] : [b, a]
        const transfers = [
          planDeposit('escrow', 'ses_1', depositMicros),
          planCapture('ses_1', spentMicros),
          ...planSettlement({ ...ids, depositMicros, spentMicros }),
        ]
        for (const { postings } of transfers) {
          expect(postings.reduce((sum, posting) => sum + posting.amountMicros, 0n)).toBe(0n)
          expect(postings.every((posting) => posting.amountMicros !== 0n)).toBe(true)
        }
      }),
    )
  })
})

describe('a session from deposit to settlement', () => {
  it('leaves nothing in its own accounts, and pays out exactly what came in', () => {
    const runs = fc.array(fc.bigInt({ min: 0n, max: 1_000_000n }).map(micros), { maxLength: 20 })
    fc.assert(
      fc.property(runs, amount, (costs, rest) => {
        const spentMicros = micros(costs.reduce((sum, cost) => sum + cost, 0n))
        const depositMicros = micros(spentMicros + rest)
        const held = balances([
          planDeposit('escrow', 'ses_1', depositMicros),
          ...costs.map((cost) => planCapture('ses_1', cost)),
          ...planSettlement({ ...ids, depositMicros, spentMicros }),
        ])
        const shares = splitCumulative(spentMicros)
        const at = (account: AccountName) => held.get(account) ?? 0n
        expect(at('sessions:ses_1:budget')).toBe(0n)
        expect(at('sessions:ses_1:payable')).toBe(0n)
        expect(at('providers:prv_1:earnings')).toBe(0n)
        expect(at('platform:fees')).toBe(shares.platformMicros)
        expect(at('platform:reserve')).toBe(shares.reserveMicros)
        expect(at('rails:escrow:inbound')).toBe(-depositMicros)
        expect(at('rails:escrow:outbound')).toBe(shares.providerMicros + rest)
      }),
    )
  })

  it('that ran nothing is one refund', () => {
    const transfers = planSettlement({ ...ids, depositMicros: micros(500n), spentMicros: micros(0n) })
    expect(transfers.map(({ kind }) => kind)).toEqual(['refund'])
  })

  it('that spent everything has no refund', () => {
    const transfers = planSettlement({ ...ids, depositMicros: micros(500n), spentMicros: micros(500n) })
    expect(transfers.map(({ kind }) => kind)).toEqual(['settlement', 'payout'])
  })

  it('that spent more than its deposit is our own mistake', () => {
    expect(() => planSettlement({ ...ids, depositMicros: micros(1n), spentMicros: micros(2n) })).toThrow(
      InvariantViolation,
    )
  })
})
