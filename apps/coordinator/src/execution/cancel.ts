import { type ExecutionView, type Id, OrienError } from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { executionRow } from './read.ts'
import { markCancelRequested } from './store.ts'
import { viewExecution } from './view.ts'

/**
 * Tells the node to stop a run at once. It ends with the node's receipt: what it used until then is billed.
 *
 * @throws OrienError `not_found`, `execution_finished`
 */
export async function cancelExecution(
  ctx: Context,
  caller: Caller,
  id: Id<'execution'>,
): Promise<ExecutionView> {
  const row = await executionRow(ctx, caller, id)
  if (row.execution.status === 'completed' || row.execution.status === 'failed')
    throw new OrienError('execution_finished')
  await ctx.db.write(async (unit) => {
    await markCancelRequested(unit.tx, id)
    unit.after(() => ctx.nodes.send(row.session.providerId, { type: 'cancel', executionId: id }))
  })
  return viewExecution(row)
}
