import { OrienError, type SessionStatus, type SessionView, sessionTransition } from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { releaseBudget } from '../custody/commit.ts'
import type { Unit } from '../db/executor.ts'
import { announce } from '../events/append.ts'
import type { NewEvent } from '../events/bus.ts'
import { insertNumbered } from '../events/store.ts'
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
  const values = { status: next.status, endedAt: ctx.clock.now() }
  const begun = { values, events: [{ type: 'session.ending' as const, data: { cause } }] }
  unit.after(() =>
    ctx.nodes.send(row.providerId, { type: 'endSession', sessionId: row.id as SessionView['id'] }),
  )
  return (await completeSession(ctx, unit, { ...row, ...values }, begun)) ?? change(ctx, unit, row.id, begun)
}

/** What a step does to a session, and what is told of it. */
type Change = { values: Partial<SessionRow>; events: readonly NewEvent[] }

async function change(ctx: Context, unit: Unit, id: string, { values, events }: Change): Promise<SessionRow> {
  const row = await updateSession(unit.tx, id, values, events.length)
  announce(ctx.bus, unit, id, await insertNumbered(unit.tx, id, row.lastEvent, events))
  return row
}

/**
 * The last run is accounted for: what remains is to settle. A session that never touched the chain is settled at once.
 *
 * @param before what has led to it, and is written with it
 * @returns null when it is not complete, and nothing was written
 */
async function completeSession(
  ctx: Context,
  unit: Unit,
  row: SessionRow,
  before: Change = { values: {}, events: [] },
): Promise<SessionRow | null> {
  const next = sessionTransition(row.status as SessionStatus, { type: 'drained' })
  if (!next.ok || row.openExecutions > 0) return null
  const data = { consumedMicros: row.spentMicros.toString() }
  const completed = [...before.events, { type: 'session.completed' as const, data }]
  if (row.channelStatus !== 'none')
    return change(ctx, unit, row.id, { values: { ...before.values, status: next.status }, events: completed })
  if (row.isCustodial) await releaseBudget(unit, row)
  const settled = { type: 'session.settled' as const, data: { ...data, refundedMicros: '0' } }
  unit.after(() =>
    ctx.nodes.send(row.providerId, { type: 'forgetSession', sessionId: row.id as SessionView['id'] }),
  )
  const values = { ...before.values, status: 'settled', settledAt: ctx.clock.now() }
  return change(ctx, unit, row.id, { values, events: [...completed, settled] })
}

/** Completes a session by id when its last run has just been accounted for. */
export async function completeIfDrained(ctx: Context, sessionId: string): Promise<void> {
  await ctx.db.write(async (unit) => {
    const row = await lockSession(unit.tx, sessionId)
    if (row) await completeSession(ctx, unit, row)
  })
}
