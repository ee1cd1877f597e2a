import {
  type Bill,
  type Hex,
  type Id,
  micros,
  OrienError,
  printBill,
  type SignedRegistration,
  splitCumulative,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { selectReceipts } from '../metering/store.ts'
import { findPayments } from '../refunds/findPayments.ts'
import { stateRefunds } from '../refunds/stateRefunds.ts'
import { sessionRow } from '../session/read.ts'
import { channelOf } from '../session/view.ts'
import { selectFinalTransaction } from './store.ts'

const MAX_RECEIPTS = 1_000_000

/**
 * The bill of a session so far, in its one canonical form. Before the settlement is final it has none, and can only be
 * found consistent.
 *
 * @throws OrienError `not_found`; `session_not_active` when no money was ever involved
 */
export async function makeBill(ctx: Context, caller: Caller, id: Id<'session'>): Promise<string> {
  const session = await sessionRow(ctx, caller, id)
  const channel = channelOf(session, ctx.chain)
  if (!channel || !session.voucherSignature || session.depositMicros === 0n) {
    throw new OrienError(
      'session_not_active',
      'No deposit of this session is on the chain, so there is no bill',
    )
  }
  const receipts = await selectReceipts(ctx.db.read, { sessionId: id, limit: MAX_RECEIPTS })
  const closing = await selectFinalTransaction(ctx.db.read, id, 'close')
  const consumedMicros = micros(session.spentMicros)
  const last = receipts.at(-1)?.receipt
  const recorded = receipts.map(({ receipt }) => receipt)
  const refunds = closing ? await stateRefunds(ctx, session, recorded) : undefined
  const refundPayments = refunds ? await findPayments(ctx, session) : []
  const bill: Bill = {
    v: 1,
    kind: 'orien-bill',
    sessionId: id,
    channel,
    depositMicros: micros(session.depositMicros),
    registration: session.registration as SignedRegistration,
    offer: session.offer,
    coordinatorKey: ctx.key.publicKey,
    receipts: recorded.map(({ jws }) => jws),
    ...(last ? { countersignature: last.countersignature } : {}),
    voucher: {
      cumulativeMicros: micros(session.authorisedMicros),
      signature: session.voucherSignature as Hex,
    },
    consumedMicros,
    ...(closing
      ? {
          settlement: {
            txHash: closing.txHash as Hex,
            blockNumber: Number(closing.blockNumber),
            ...splitCumulative(micros(closing.amountMicros)),
            refundedMicros: micros(session.depositMicros - closing.amountMicros),
          },
        }
      : {}),
    ...(refunds ? { refunds } : {}),
    ...(refundPayments.length > 0 ? { refundPayments } : {}),
  }
  return printBill(bill)
}
