import type { SessionEventRecord } from '@orien/protocol'
import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'
import { events, sessions } from '../db/schema.ts'
import type { NewEvent } from './bus.ts'

const { sequence, type, at, data } = events
/** An event as it was stored. */
const stored = { sequence, type, at, data }

type Stored = { sequence: number; type: string; at: Date; data: unknown }

const recordOf = ({ sequence, type, at, data }: Stored): SessionEventRecord => ({
  sequence,
  type: type as SessionEventRecord['type'],
  at: at.toISOString(),
  data: data as Record<string, unknown>,
})

/** Takes the next number of the session's sequence; the caller holds or takes the session's row lock by it. */
export async function insertEvent(
  tx: Executor,
  sessionId: string,
  event: NewEvent,
): Promise<SessionEventRecord> {
  const [row] = await tx
    .update(sessions)
    .set({ lastEvent: sql`${sessions.lastEvent} + 1` })
    .where(eq(sessions.id, sessionId))
    .returning({ last: sessions.lastEvent })
  const [record] = await insertNumbered(tx, sessionId, row?.last ?? 0, [event])
  return record as SessionEventRecord
}

/** Stores events of a session whose numbers end with this one; the caller has taken them. */
export async function insertNumbered(
  tx: Executor,
  sessionId: string,
  last: number,
  added: readonly NewEvent[],
): Promise<SessionEventRecord[]> {
  if (added.length === 0) return []
  const first = last - added.length + 1
  const values = added.map((event, index) => ({ sessionId, sequence: first + index, ...event }))
  const rows = await tx.insert(events).values(values).returning(stored)
  return rows.map(recordOf)
}

/** The same for many sessions at once, one event each. @returns each session's event */
export async function insertEvents(
  tx: Executor,
  added: ReadonlyMap<string, NewEvent>,
): Promise<Map<string, SessionEventRecord>> {
  if (added.size === 0) return new Map()
  const taken = await tx
    .update(sessions)
    .set({ lastEvent: sql`${sessions.lastEvent} + 1` })
    .where(inArray(sessions.id, [...added.keys()]))
    .returning({ sessionId: sessions.id, sequence: sessions.lastEvent })
  const values = taken.flatMap(({ sessionId, sequence }) => {
    const event = added.get(sessionId)
    return event ? [{ sessionId, sequence, ...event }] : []
  })
  const rows = await tx
    .insert(events)
    .values(values)
    .returning({ sessionId: events.sessionId, ...stored })
  return new Map(rows.map((row) => [row.sessionId, recordOf(row)]))
}

export async function selectEventsAfter(
  db: Executor,
  sessionId: string,
  after: number,
  limit: number,
): Promise<SessionEventRecord[]> {
  const rows = await db
    .select(stored)
    .from(events)
    .where(and(eq(events.sessionId, sessionId), gt(events.sequence, after)))
    .orderBy(asc(events.sequence))
    .limit(limit)
  return rows.map(recordOf)
}
