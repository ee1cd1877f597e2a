import {
  type Id,
  invariant,
  manifestHash,
  micros,
  missingOutputs,
  type OperationOutput,
  OrienError,
  type refundSession as operation,
  type PublishedTool,
  planRefund,
  planReserveRefund,
  type RefundItem,
  readReceipt,
  type UsdcMicros,
  ZERO,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { insertTransfer } from '../ledger/store.ts'
import { selectReceipts } from '../metering/store.ts'
import { providerRow } from '../provider/read.ts'
import { lockedSessionRow } from '../session/read.ts'
import type { SessionRow } from '../session/store.ts'
import { lockRefunds, referenceOf, selectRefundBounds, selectRefunds, selectSettled } from './store.ts'

/** Receipts that one request looks at. */
const MAX_RECEIPTS = 10_000

type Loss = Omit<RefundItem, 'refundedMicros'>

/**
 * Refunds what a settled session cost against the rules, as far as this provider's own share of the reserve goes. What
 * was refunded is never refunded again; what found the share empty may be asked for again.
 *
 * @throws OrienError `not_found`; `illegal_transition` before the settlement is final; `refund_exhausted`
 */
export async function refundSession(
  ctx: Context,
  unit: Unit,
  caller: Caller,
  id: Id<'session'>,
): Promise<OperationOutput<typeof operation>> {
  const session = await lockedSessionRow(unit.tx, caller, id)
  if (session.status !== 'settled')
    throw new OrienError('illegal_transition', 'A session is refunded once its settlement is final')
  await lockRefunds(unit.tx, session.providerId)
  const losses = await findLosses(ctx, unit, session)
  const known = new Map(
    (await selectRefunds(unit.tx, id)).map((row) => [row.reference, row.refundedMicros] as const),
  )
  const items: OperationOutput<typeof operation>['items'] = []
  for (const { cause, subject, lostMicros } of losses) {
    const reference = referenceOf(cause, subject)
    const refundedMicros = micros(
      known.get(reference) ?? (await refund(unit, session, reference, lostMicros)),
    )
    items.push({ cause, subject, lostMicros, refundedMicros })
  }
  const refundedMicros = micros(items.reduce((sum, item) => sum + item.refundedMicros, 0n))
  if (items.length > 0 && refundedMicros === ZERO)
    throw new OrienError(
      'refund_exhausted',
      'This provider’s share of the reserve, or the day’s cap, is used up',
    )
  return { sessionId: id, items, refundedMicros }
}

async function refund(unit: Unit, session: SessionRow, reference: string, lostMicros: UsdcMicros) {
  const bounds = await selectRefundBounds(unit.tx, session.providerId)
  const amount = planRefund(lostMicros, bounds)
  invariant(
    bounds.refundedMicros + amount <= bounds.contributedMicros || amount === ZERO,
    'within its own share',
  )
  if (amount === ZERO) return ZERO
  const of = { sessionId: session.id, reference }
  await insertTransfer(unit.tx, of, planReserveRefund(session.agentId, amount))
  return amount
}

async function findLosses(ctx: Context, unit: Unit, session: SessionRow): Promise<Loss[]> {
  const losses: Loss[] = []
  const settledMicros = await selectSettled(unit.tx, session.id)
  if (settledMicros > session.spentMicros) {
    const lostMicros = micros(settledMicros - session.spentMicros)
    losses.push({ cause: 'overclaim', subject: session.id as Id<'session'>, lostMicros })
  }
  const { tools } = await providerRow(ctx, session.providerId)
  // By its hash: a tool that was changed since promises nothing about runs before.
  const promises = new Map(
    (tools as PublishedTool[])
      .filter(({ outputs }) => outputs.length > 0)
      .map((tool) => [manifestHash(tool), tool]),
  )
  if (promises.size === 0) return losses
  const filter = { sessionId: session.id, limit: MAX_RECEIPTS }
  for (const { receipt } of await selectReceipts(unit.tx, filter)) {
    const signed = readReceipt(receipt.jws)?.receipt
    const tool = signed && promises.get(signed.manifestHash)
    if (!tool || receipt.costMicros === 0n || missingOutputs(tool, signed).length === 0) continue
    losses.push({
      cause: 'missing_output',
      subject: signed.executionId,
      lostMicros: micros(receipt.costMicros),
    })
  }
  return losses
}
