import type { SessionEventRecord } from '@orien/protocol'
import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'
import { events, sessions } from '../db/schema.ts'
import type { NewEvent } from './bus.ts'

const { sequence, type, at, data } = events
/** An event as it was stored. */
const stored = { sequence, type, at, data }

type Stored = { sequence: number; type: string; at: Date | string; data: unknown }

const recordOf = ({ sequence, type, at, data }: Stored): SessionEventRecord => ({
  sequence,
  type: type as SessionEventRecord['type'],
  at: new Date(at).toISOString(),
  data: data as Record<string, unknown>,
})

/** Takes the next number of the session's sequence; the caller holds or takes the session's row lock by it. */
export async function insertEvent(
  tx: Executor,
  sessionId: string,
  event: NewEvent,
): Promise<SessionEventRecord> {
  const records = await insertEvents(tx, new Map([[sessionId, event]]))
  return records.get(sessionId) as SessionEventRecord
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
    .returning({ sessionId: sessions.id, last: sessions.lastEvent })
  const numbered = taken.flatMap(({ sessionId, last }) => {
    const event = added.get(sessionId)
    return event ? [{ sessionId, last, events: [event] }] : []
  })
  const records = await insertNumbered(tx, numbered)
  return new Map(records.map(({ sessionId, record }) => [sessionId, record]))
}

/** Events of a session whose numbers end with `last`; the caller has taken them. */
type Numbered = { sessionId: string; last: number; events: readonly NewEvent[] }

/** Stores events of many sessions; those of one stay in their order. */
export async function insertNumbered(
  tx: Executor,
  added: readonly Numbered[],
): Promise<{ sessionId: string; record: SessionEventRecord }[]> {
  const values = added.flatMap(({ sessionId, last, events: told }) =>
    told.map((event, index) => ({
      session_id: sessionId,
      sequence: last - told.length + 1 + index,
      ...event,
    })),
  )
  if (values.length === 0) return []
  // One parameter, however many there are: making a statement with a place for each value costs more than running it.
  const { rows } = await tx.execute<Stored & { session_id: string }>(sql`
    insert into events (session_id, sequence, type, data)
      select * from json_to_recordset(${JSON.stringify(values)}::json)
        as added (session_id text, sequence integer, type text, data json)
      returning session_id, sequence, type, at, data`)
  return rows.map(({ session_id: sessionId, ...row }) => ({ sessionId, record: recordOf(row) }))
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
