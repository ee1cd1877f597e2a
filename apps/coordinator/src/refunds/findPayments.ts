import { type Hex, micros, OrienError, type RefundPayment, refundNonce } from '@orien/protocol'
import type { Context } from '../context.ts'
import type { SessionRow } from '../session/store.ts'
import { readReference, selectRefunds } from './store.ts'

/**
 * The payments of a session's refunds that are final on the chain, for its bill. A chain that cannot be asked leaves them
 * out: the bill is true without them, and says so the next time.
 */
export async function findPayments(
  ctx: Pick<Context, 'db' | 'rail' | 'log'>,
  { id, payer }: Pick<SessionRow, 'id' | 'payer'>,
): Promise<RefundPayment[]> {
  const paid = (await selectRefunds(ctx.db.read, id)).filter(({ isPaid }) => isPaid)
  if (paid.length === 0 || !payer) return []
  try {
    const from = await ctx.rail.reserve()
    const payments = paid.map(async ({ reference, refundedMicros }) => {
      const refund = readReference(reference)
      const transfer = { from, to: payer as Hex, valueMicros: refundedMicros, nonce: refundNonce(refund) }
      const arrival = await ctx.rail.findArrival(transfer)
      if (arrival.status !== 'arrived' || !arrival.isFinal) return []
      return [{ ...refund, paidMicros: micros(refundedMicros), txHash: arrival.txHash }]
    })
    return (await Promise.all(payments)).flat()
  } catch (err) {
    if (!(err instanceof OrienError)) throw err
    ctx.log.warn({ event: 'bill.payments_unread', sessionId: id, err })
    return []
  }
}
