import {
  type ExecutionView,
  type listExecutions as listOperation,
  type OperationInput,
  type OperationOutput,
  OrienError,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { cutPage } from '../page.ts'
import { sessionRow } from '../session/read.ts'
import { type Joined, selectExecution, selectExecutions } from './store.ts'
import { viewExecution, viewResult } from './view.ts'

/** @throws OrienError `not_found` unless it is the caller's */
export async function executionRow(ctx: Context, caller: Caller, id: string): Promise<Joined> {
  const row = await selectExecution(ctx.db.read, id)
  if (!row || row.session.agentId !== caller.agentId)
    throw new OrienError('not_found', 'There is no such execution')
  return row
}

/** @throws OrienError `not_found` */
export async function getExecution(ctx: Context, caller: Caller, id: string): Promise<ExecutionView> {
  return viewResult(ctx.db.read, await executionRow(ctx, caller, id))
}

/** The executions of a session, newest first, without their output. */
export async function listExecutions(
  ctx: Context,
  caller: Caller,
  { params, query }: OperationInput<typeof listOperation>,
): Promise<OperationOutput<typeof listOperation>> {
  await sessionRow(ctx, caller, params.id)
  const rows = await selectExecutions(ctx.db.read, { ...query, sessionId: params.id, limit: query.limit + 1 })
  const { shown, next } = cutPage(rows, query.limit, ({ execution }) => execution.id)
  return {
    items: shown.map(viewExecution),
    ...next,
  }
}
