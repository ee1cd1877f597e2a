import { OrienError, type SessionStatus, type SessionView, sessionTransition } from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { releaseBudget } from '../custody/commit.ts'
import type { Unit } from '../db/executor.ts'
import { appendEvent } from '../events/append.ts'
import { lockedSessionRow } from './read.ts'
import { lockSession, type SessionRow, updateSession } from './store.ts'
import { viewSession } from './view.ts'

/**
 * Ends a session: no new work from now on, running tools are told to stop. It is `completed` when the last receipt or
 * lease is in, and settled after that. Ending twice is the same as ending once.
 *
 * @throws OrienError `illegal_transition` for a session that has failed
 */
export async function endSession(ctx: Context, unit: Unit, caller: Caller, id: string): Promise<SessionView> {
  const row = await lockedSessionRow(unit.tx, caller, id)
  if (row.status === 'failed') throw new OrienError('illegal_transition', 'The session has failed')
  return viewSession(await beginEnd(ctx, unit, row, 'requested'), ctx.chain)
}

/** The same for the system's own reasons; the caller holds the session's lock. */
export async function beginEnd(
  ctx: Context,
  unit: Unit,
  row: SessionRow,
  cause: 'requested' | 'dispute' | 'provider_gone' | 'close_requested' | 'idle',
): Promise<SessionRow> {
  const next = sessionTransition(row.status as SessionStatus, { type: 'end_requested' })
  if (!next.ok) return row
  const ending = await updateSession(unit.tx, row.id, { status: next.status, endedAt: ctx.clock.now() })
  await appendEvent(ctx.bus, unit, row.id, { type: 'session.ending', data: { cause } })
  unit.after(() =>
    ctx.nodes.send(row.providerId, { type: 'endSession', sessionId: row.id as SessionView['id'] }),
  )
  return ending.openExecutions === 0 ? completeSession(ctx, unit, ending) : ending
}

/** The last run is accounted for: what remains is to settle. A session that never touched the chain is settled at once. */
async function completeSession(ctx: Context, unit: Unit, row: SessionRow): Promise<SessionRow> {
  const next = sessionTransition(row.status as SessionStatus, { type: 'drained' })
  if (!next.ok || row.openExecutions > 0) return row
  const data = { consumedMicros: row.spentMicros.toString() }
  await appendEvent(ctx.bus, unit, row.id, { type: 'session.completed', data })
  if (row.isCustodial && row.channelStatus === 'none') await releaseBudget(unit, row)
  if (row.channelStatus !== 'none') return updateSession(unit.tx, row.id, { status: next.status })
  await appendEvent(ctx.bus, unit, row.id, {
    type: 'session.settled',
    data: { ...data, refundedMicros: '0' },
  })
  unit.after(() =>
    ctx.nodes.send(row.providerId, { type: 'forgetSession', sessionId: row.id as SessionView['id'] }),
  )
  return updateSession(unit.tx, row.id, { status: 'settled', settledAt: ctx.clock.now() })
}

/** Completes a session by id when its last run has just been accounted for. */
export async function completeIfDrained(ctx: Context, sessionId: string): Promise<void> {
  await ctx.db.write(async (unit) => {
    const row = await lockSession(unit.tx, sessionId)
    if (row) await completeSession(ctx, unit, row)
  })
}
