import {
  formatUsdc,
  type Hex,
  type Id,
  micros,
  type OperationInput,
  type OperationOutput,
  type getEarnings as operation,
  splitCumulative,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { type EarningRow, selectEarnings, selectSpentBySession } from './store.ts'

type Statement = OperationOutput<typeof operation>

function viewEarning({ receipt, execution, session, closing }: EarningRow): Statement['items'][number] {
  return {
    sessionId: session.id as Id<'session'>,
    executionId: execution.id as Id<'execution'>,
    tool: execution.tool,
    effectiveMs: execution.effectiveMs,
    costMicros: micros(receipt.costMicros),
    receiptHash: receipt.hash,
    ...(closing?.txHash ? { settlementTx: closing.txHash as Hex } : {}),
    ...(session.settledAt ? { settledAt: session.settledAt.toISOString() } : {}),
    recordedAt: receipt.recordedAt.toISOString(),
  }
}

/** The statement of the caller's providers: totals over everything, lines by page, oldest first. */
export async function getEarnings(
  ctx: Context,
  caller: Caller,
  query: OperationInput<typeof operation>['query'],
): Promise<Statement> {
  const { limit, cursor, providerId } = query
  const after = cursor && !Number.isNaN(Date.parse(cursor)) ? new Date(cursor) : undefined
  const rows = await selectEarnings(ctx.db.read, {
    payout: caller.wallet,
    limit: limit + 1,
    after,
    providerId,
  })
  const spent = await selectSpentBySession(ctx.db.read, { payout: caller.wallet, providerId })
  const share = (isSettled: boolean) =>
    spent
      .filter((session) => session.isSettled === isSettled)
      .reduce((sum, session) => sum + splitCumulative(micros(session.spentMicros)).providerMicros, 0n)
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return {
    grossMicros: micros(spent.reduce((sum, session) => sum + session.spentMicros, 0n)),
    pendingMicros: micros(share(false)),
    settledMicros: micros(share(true)),
    items: shown.map(viewEarning),
    ...(rows.length > limit && last ? { nextCursor: last.receipt.recordedAt.toISOString() } : {}),
  }
}

const CSV_ROWS = 100_000

/** The same lines as CSV (RFC 4180); amounts in USDC and in micro-USDC. */
export async function earningsCsv(ctx: Context, caller: Caller): Promise<string> {
  const rows = await selectEarnings(ctx.db.read, { payout: caller.wallet, limit: CSV_ROWS })
  const header =
    'recordedAt,sessionId,executionId,tool,effectiveMs,costMicros,costUsdc,receiptHash,settlementTx,settledAt'
  const lines = rows
    .map(viewEarning)
    .map((line) =>
      [
        line.recordedAt,
        line.sessionId,
        line.executionId,
        line.tool,
        line.effectiveMs,
        line.costMicros,
        formatUsdc(line.costMicros),
        line.receiptHash,
        line.settlementTx ?? '',
        line.settledAt ?? '',
      ].join(','),
    )
  return `${[header, ...lines].join('\r\n')}\r\n`
}
