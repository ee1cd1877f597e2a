import {
  costMicros,
  deadlineMs,
  durationMs,
  type Hex,
  type Id,
  type listPayments as listOperation,
  micros,
  type OperationInput,
  type OperationOutput,
  OrienError,
  type PaymentRequest,
  type PaymentView,
  type PublishedTool,
  type pay as payOperation,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { viewBalance } from '../custody/balance.ts'
import { depositToBalance } from '../custody/deposit.ts'
import { withdrawBalance } from '../custody/withdraw.ts'
import type { Unit } from '../db/executor.ts'
import { cutPage } from '../page.ts'
import { providerRow } from '../provider/read.ts'
import { endSession } from '../session/end.ts'
import { topUpSession } from '../session/topUp.ts'
import { selectPayments, type TransactionRow } from './store.ts'

/**
 * Money in, a settlement, or a price. What this coordinator does not offer is refused by its name.
 *
 * @throws OrienError of the verb behind it; `unsupported_operation`
 */
export async function pay(
  ctx: Context,
  unit: Unit,
  caller: Caller,
  body: PaymentRequest,
): Promise<OperationOutput<typeof payOperation>> {
  switch (body.operation) {
    case 'deposit':
      if (body.sessionId === undefined) {
        await depositToBalance(ctx, unit, caller, body)
        return { operation: 'deposit', balance: await viewBalance(ctx, unit.tx, caller) }
      }
      return { operation: 'deposit', session: await topUpSession(ctx, unit, caller, body.sessionId, body) }
    case 'settle':
      return { operation: 'settle', session: await endSession(ctx, unit, caller, body.sessionId) }
    case 'quote':
      return quote(ctx, body)
    case 'withdraw':
      await withdrawBalance(ctx, unit, caller, body.amountMicros)
      return { operation: 'withdraw', balance: await viewBalance(ctx, unit.tx, caller) }
    case 'reinvest':
      throw new OrienError('unsupported_operation', 'No conversion rail is configured')
  }
}

async function quote(
  ctx: Context,
  body: Extract<PaymentRequest, { operation: 'quote' }>,
): Promise<OperationOutput<typeof payOperation>> {
  const provider = await providerRow(ctx, body.providerId)
  const tool = (provider.tools as PublishedTool[]).find((candidate) => candidate.id === body.tool)
  if (!tool) throw new OrienError('tool_not_offered', `The provider does not offer ${body.tool}`)
  const rate = micros(provider.rateMicrosPerMinute)
  const duration = durationMs(Math.min(body.durationMs ?? tool.limits.timeMs, tool.limits.timeMs))
  return {
    operation: 'quote',
    rateMicrosPerMinute: rate,
    costMicros: costMicros(rate, duration),
    durationMs: duration,
    ...(body.budgetMicros === undefined ? {} : { budgetLastsMs: deadlineMs(body.budgetMicros, rate) }),
  }
}

const OPERATIONS = {
  open: 'deposit',
  open_batch: 'deposit',
  top_up: 'topUp',
  close: 'settle',
  close_batch: 'settle',
  request_close: 'requestClose',
  set_operator: 'authorise_operator',
  custody_deposit: 'custodialDeposit',
  withdrawal: 'withdraw',
} as const

function viewPayment(row: TransactionRow): PaymentView {
  return {
    id: row.id as Id<'payment'>,
    operation: OPERATIONS[row.kind],
    ...(row.sessionId ? { sessionId: row.sessionId as Id<'session'> } : {}),
    amountMicros: micros(row.amountMicros),
    status: row.status as PaymentView['status'],
    ...(row.txHash ? { txHash: row.txHash as Hex } : {}),
    createdAt: row.createdAt.toISOString(),
  }
}

/** The transactions of the caller's sessions, newest first. */
export async function listPayments(
  ctx: Context,
  caller: Caller,
  query: OperationInput<typeof listOperation>['query'],
): Promise<OperationOutput<typeof listOperation>> {
  const rows = await selectPayments(ctx.db.read, {
    ...query,
    agentId: caller.agentId,
    limit: query.limit + 1,
  })
  const { shown, next } = cutPage(rows, query.limit, (row) => row.id)
  return {
    items: shown.map(viewPayment),
    ...next,
  }
}
