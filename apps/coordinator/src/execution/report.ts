import type { FromNode } from '@orien/protocol'
import type { Context } from '../context.ts'
import { insertEvent } from '../events/store.ts'
import { markStarted, selectExecution } from './store.ts'

/** The node has executed the tool: effective time runs. Said twice, it counts once. */
export async function recordStarted(ctx: Context, providerId: string, executionId: string): Promise<void> {
  const row = await selectExecution(ctx.db.read, executionId)
  if (row?.session.providerId !== providerId || row.execution.status !== 'pending') return
  await ctx.db.write(async (unit) => {
    const started = await markStarted(unit.tx, executionId)
    if (!started) return
    const data = { executionId, tool: started.tool, deadlineMs: started.deadlineMs }
    const sequence = await insertEvent(unit.tx, started.sessionId, { type: 'execution.started', data })
    unit.after(() => ctx.bus.publish(started.sessionId, { kind: 'event', sequence }))
  })
}

/** The session of a run; null when the run is not this provider's. */
export async function sessionOfRun(
  ctx: Context,
  providerId: string,
  executionId: string,
): Promise<string | null> {
  const row = await selectExecution(ctx.db.read, executionId)
  return row?.session.providerId === providerId ? row.session.id : null
}

type Tick = Extract<FromNode, { type: 'meter' }>

/** A tick of the running cost: shown live, never stored. */
export async function relayMeter(
  ctx: Context,
  providerId: string,
  { executionId, effectiveMs }: Tick,
): Promise<void> {
  const sessionId = await sessionOfRun(ctx, providerId, executionId)
  if (sessionId) ctx.bus.publish(sessionId, { kind: 'meter', executionId, effectiveMs })
}
