import { expect, test } from 'vitest'
import { type Bill, type ChainFacts, verifyBill } from './bill.ts'
import { micros } from './money.ts'
import { factsOf, makeBill, makeCast, paymentOf, refunded } from './testing/bill.ts'
import { crypto, word } from './testing/keys.ts'

const cast = makeCast('payments')
const good = makeBill(cast)

function verdictOf(bill: Bill, facts: ChainFacts) {
  const { verdict, failure } = verifyBill(bill, crypto, { facts })
  return { verdict, line: failure?.line }
}

const rejectedAt = (line: string) => ({ verdict: 'rejected', line })

test('a refund that was paid is verified by the reserve’s payment, and rejected without it, twice, or for another sum', () => {
  const owed = refunded(cast, good)
  const payment = paymentOf(owed)
  const bill = { ...owed, refundPayments: [payment] }
  const chain = factsOf(bill)
  expect(verdictOf(bill, chain)).toEqual({ verdict: 'verified', line: undefined })
  for (const paid of [null, { ...payment, paidMicros: micros(29n) }, { ...payment, txHash: word('other') }])
    expect(verdictOf(bill, { ...chain, refundPayments: [paid] })).toEqual(
      rejectedAt('refundPayments[0].txHash'),
    )
  const twice = { ...bill, refundPayments: [payment, payment] }
  expect(verdictOf(twice, chain)).toEqual(rejectedAt('refundPayments[1]'))
  const more = { ...bill, refundPayments: [{ ...payment, paidMicros: micros(31n) }] }
  expect(verdictOf(more, chain)).toEqual(rejectedAt('refundPayments[0]'))
  const { refunds: _, ...unowed } = bill
  expect(verdictOf(unowed, chain)).toEqual(rejectedAt('refundPayments'))
})
