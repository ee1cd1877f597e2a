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
import { cutPage } from '../page.ts'
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
  const rows = await selectEarnings(ctx.db.read, {
    payout: caller.wallet,
    limit: limit + 1,
    cursor,
    providerId,
  })
  const spent = await selectSpentBySession(ctx.db.read, { payout: caller.wallet, providerId })
  const share = (isSettled: boolean) =>
    spent
      .filter((session) => session.isSettled === isSettled)
      .reduce((sum, session) => sum + splitCumulative(micros(session.spentMicros)).providerMicros, 0n)
  const { shown, next } = cutPage(rows, limit, ({ receipt }) => receipt.executionId)
  return {
    grossMicros: micros(spent.reduce((sum, session) => sum + session.spentMicros, 0n)),
    pendingMicros: micros(share(false)),
    settledMicros: micros(share(true)),
    items: shown.map(viewEarning),
    ...next,
  }
}

const CSV_PAGE_ROWS = 1_000
const CSV_HEADER =
  'recordedAt,sessionId,executionId,tool,effectiveMs,costMicros,costUsdc,receiptHash,settlementTx,settledAt'

function csvLine(line: Statement['items'][number]): string {
  const { recordedAt, sessionId, executionId, tool, effectiveMs, costMicros, receiptHash } = line
  const amounts = [effectiveMs, costMicros, formatUsdc(costMicros)]
  const settled = [line.settlementTx ?? '', line.settledAt ?? '']
  return [recordedAt, sessionId, executionId, tool, ...amounts, receiptHash, ...settled].join(',')
}

/** All lines of the statement as CSV (RFC 4180), however many, a page at a time; amounts in micro-USDC and in USDC. */
export async function* earningsCsv(ctx: Context, caller: Caller): AsyncGenerator<string> {
  yield `${CSV_HEADER}\r\n`
  let cursor: string | undefined
  do {
    const filter = { payout: caller.wallet, limit: CSV_PAGE_ROWS + 1, cursor }
    const rows = await selectEarnings(ctx.db.read, filter)
    const { shown, next } = cutPage(rows, CSV_PAGE_ROWS, ({ receipt }) => receipt.executionId)
    if (shown.length > 0) yield `${shown.map((row) => csvLine(viewEarning(row))).join('\r\n')}\r\n`
    cursor = next.nextCursor
  } while (cursor)
}
