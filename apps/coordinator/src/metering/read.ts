import {
  type Id,
  micros,
  movedBytes,
  type OperationInput,
  type OperationOutput,
  type getMetering as operation,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { cutPage } from '../page.ts'
import { sessionRow } from '../session/read.ts'
import { selectReceipts } from './store.ts'

/**
 * What was measured in a session, receipt by receipt in the order of their chain.
 *
 * @throws OrienError `not_found`
 */
export async function getMetering(
  ctx: Context,
  caller: Caller,
  query: OperationInput<typeof operation>['query'],
): Promise<OperationOutput<typeof operation>> {
  const session = await sessionRow(ctx, caller, query.sessionId)
  const after = query.cursor && /^\d{1,9}$/.test(query.cursor) ? Number(query.cursor) : undefined
  const rows = await selectReceipts(ctx.db.read, { sessionId: session.id, limit: query.limit + 1, after })
  const { shown, next } = cutPage(rows, query.limit, ({ receipt }) => String(receipt.sequence))
  return {
    sessionId: query.sessionId,
    consumedMicros: micros(session.spentMicros),
    heldMicros: micros(session.heldMicros),
    effectiveMs: Number(session.effectiveMs),
    items: shown.map(({ receipt, execution }) => ({
      executionId: receipt.executionId as Id<'execution'>,
      tool: execution.tool,
      sequence: receipt.sequence,
      receiptHash: receipt.hash,
      effectiveMs: execution.effectiveMs,
      cpuMs: execution.cpuMs,
      maxRssBytes: Number(execution.maxRssBytes),
      ...movedBytes(execution),
      costMicros: micros(receipt.costMicros),
      cumulativeMicros: micros(receipt.cumulativeMicros),
      receipt: receipt.jws,
      countersignature: receipt.countersignature,
      recordedAt: receipt.recordedAt.toISOString(),
    })),
    ...next,
  }
}
