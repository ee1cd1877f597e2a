import { OrienError, type SessionStatus, type SessionView, sessionTransition } from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { releaseBudget } from '../custody/commit.ts'
import type { Unit } from '../db/executor.ts'
import { announce } from '../events/append.ts'
import type { NewEvent } from '../events/bus.ts'
import { insertNumbered } from '../events/store.ts'
import { lockedSessionRow } from './read.ts'
import { changeSessions, lockSession, type SessionRow } from './store.ts'
import { viewSession } from './view.ts'

/**
 * Ends a session: no new work from now on, running tools are told to stop. It is `completed` when the last receipt or
 * lease is in, and settled after that. Ending twice is the same as ending once.
 *
 * @throws OrienError `illegal_transition` for a session that has failed
 */
export async function endSession(ctx: Context, unit: Unit, caller: Caller, id: string): Promise<SessionView> {
  const row = await lockedSessionRow(unit.tx, caller, id)
  if (row.status === 'failed') throw hasFailed()
  return viewSession(await beginEnd(ctx, unit, row, 'requested'), ctx.chain)
}

export const hasFailed = () => new OrienError('illegal_transition', 'The session has failed')

type Cause = 'requested' | 'dispute' | 'provider_gone' | 'close_requested' | 'idle'

/** The same for the system's own reasons; the caller holds the session's lock. */
export async function beginEnd(ctx: Context, unit: Unit, row: SessionRow, cause: Cause): Promise<SessionRow> {
  const [ended] = await beginEnds(ctx, unit, [row], cause)
  return ended ?? row
}

/** The same for many, whose locks the caller holds. @returns those that were not ended before, as they are now */
export async function beginEnds(
  ctx: Context,
  unit: Unit,
  rows: readonly SessionRow[],
  cause: Cause,
): Promise<SessionRow[]> {
  const endedAt = ctx.clock.now()
  const steps = rows.flatMap((row): Step[] => {
    const next = sessionTransition(row.status as SessionStatus, { type: 'end_requested' })
    if (!next.ok) return []
    const values = { status: next.status, endedAt }
    const begun = { row, values, events: [{ type: 'session.ending' as const, data: { cause } }] }
    return [planCompletion(ctx, begun) ?? begun]
  })
  unit.after(() => {
    for (const { row } of steps)
      ctx.nodes.send(row.providerId, { type: 'endSession', sessionId: row.id as SessionView['id'] })
  })
  return take(ctx, unit, steps)
}

/** What happens to a session, and what is told of it. */
type Step = { row: SessionRow; values: Partial<SessionRow>; events: readonly NewEvent[] }

/**
 * The last run is accounted for: what remains is to settle. A session that never touched the chain is settled at once.
 *
 * @param before what has led to it, and is written with it
 * @returns null when it is not complete
 */
function planCompletion(ctx: Context, before: Step): Step | null {
  const row = { ...before.row, ...before.values }
  const next = sessionTransition(row.status as SessionStatus, { type: 'drained' })
  if (!next.ok || row.openExecutions > 0) return null
  const data = { consumedMicros: row.spentMicros.toString() }
  const events = [...before.events, { type: 'session.completed' as const, data }]
  if (row.channelStatus !== 'none')
    return { row: before.row, values: { ...before.values, status: next.status }, events }
  const settled = { type: 'session.settled' as const, data: { ...data, refundedMicros: '0' } }
  const values = { ...before.values, status: 'settled', settledAt: ctx.clock.now() }
  return { row: before.row, values, events: [...events, settled] }
}

/** Writes steps, those alike by one statement. */
async function take(ctx: Context, unit: Unit, steps: readonly Step[]): Promise<SessionRow[]> {
  const changed: SessionRow[] = []
  for (const alike of Map.groupBy(steps, ({ values }) => values.status).values()) {
    const [{ values, events } = { values: {}, events: [] }] = alike
    const ids = alike.map(({ row }) => row.id)
    changed.push(...(await changeSessions(unit.tx, ids, values, events.length)))
  }
  const eventsOf = new Map(steps.map(({ row, events }) => [row.id, events]))
  const records = await insertNumbered(
    unit.tx,
    changed.map(({ id, lastEvent }) => ({ sessionId: id, last: lastEvent, events: eventsOf.get(id) ?? [] })),
  )
  for (const { sessionId, record } of records) announce(ctx.bus, unit, sessionId, record)
  for (const row of changed) if (row.status === 'settled') await letGo(ctx, unit, row)
  return changed
}

/** Nothing of it is on the chain, so nothing is to be waited for. */
async function letGo(ctx: Context, unit: Unit, row: SessionRow): Promise<void> {
  if (row.isCustodial) await releaseBudget(unit, row)
  unit.after(() =>
    ctx.nodes.send(row.providerId, { type: 'forgetSession', sessionId: row.id as SessionView['id'] }),
  )
}

/** Completes a session by id when its last run has just been accounted for. */
export async function completeIfDrained(ctx: Context, sessionId: string): Promise<void> {
  await ctx.db.write(async (unit) => {
    const row = await lockSession(unit.tx, sessionId)
    const step = row && planCompletion(ctx, { row, values: {}, events: [] })
    if (step) await take(ctx, unit, [step])
  })
}
