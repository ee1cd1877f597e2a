import { type Id, micros, type RefundItem, ZERO } from '@orien/protocol'
import type { Context } from '../context.ts'
import type { SessionRow } from '../session/store.ts'
import { readReference, selectRefunds, selectSettled } from './store.ts'

/** What was refunded of a session by rule, signed by the coordinator for its bill; undefined when nothing was. */
export async function stateRefunds(
  ctx: Context,
  session: Pick<SessionRow, 'id' | 'spentMicros'>,
  receipts: readonly { executionId: string; costMicros: bigint }[],
): Promise<string | undefined> {
  const rows = await selectRefunds(ctx.db.read, session.id)
  if (rows.length === 0) return undefined
  const settledMicros = await selectSettled(ctx.db.read, session.id)
  const costs = new Map<string, bigint>(receipts.map((receipt) => [receipt.executionId, receipt.costMicros]))
  const refunds = rows.map(({ reference, refundedMicros }) => {
    const { cause, subject } = readReference(reference)
    const lostMicros = cause === 'overclaim' ? settledMicros - session.spentMicros : costs.get(subject)
    return { cause, subject, lostMicros: micros(lostMicros ?? ZERO), refundedMicros: micros(refundedMicros) }
  })
  const items = refunds as RefundItem[]
  return ctx.key.stateRefunds({ v: 1, sessionId: session.id as Id<'session'>, refunds: items })
}
