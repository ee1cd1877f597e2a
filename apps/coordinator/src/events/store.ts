import type { SessionEventRecord } from '@orien/protocol'
import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'
import { events, sessions } from '../db/schema.ts'
import type { NewEvent } from './bus.ts'

/** Takes the next number of the session's sequence; the caller holds or takes the session's row lock by it. */
export async function insertEvent(tx: Executor, sessionId: string, event: NewEvent): Promise<number> {
  const [row] = await tx
    .update(sessions)
    .set({ lastEvent: sql`${sessions.lastEvent} + 1` })
    .where(eq(sessions.id, sessionId))
    .returning({ sequence: sessions.lastEvent })
  const sequence = row?.sequence ?? 0
  await tx.insert(events).values({ sessionId, sequence, type: event.type, data: event.data })
  return sequence
}

/** The same for many sessions at once, one event each. @returns the number of each session's event */
export async function insertEvents(
  tx: Executor,
  added: ReadonlyMap<string, NewEvent>,
): Promise<Map<string, number>> {
  if (added.size === 0) return new Map()
  const rows = await tx
    .update(sessions)
    .set({ lastEvent: sql`${sessions.lastEvent} + 1` })
    .where(inArray(sessions.id, [...added.keys()]))
    .returning({ sessionId: sessions.id, sequence: sessions.lastEvent })
  await tx.insert(events).values(
    rows.flatMap(({ sessionId, sequence }) => {
      const event = added.get(sessionId)
      return event ? [{ sessionId, sequence, type: event.type, data: event.data }] : []
    }),
  )
  return new Map(rows.map(({ sessionId, sequence }) => [sessionId, sequence]))
}

export async function selectEventsAfter(
  db: Executor,
  sessionId: string,
  after: number,
  limit: number,
): Promise<SessionEventRecord[]> {
  const rows = await db
    .select()
    .from(events)
    .where(and(eq(events.sessionId, sessionId), gt(events.sequence, after)))
    .orderBy(asc(events.sequence))
    .limit(limit)
  return rows.map((row) => ({
    sequence: row.sequence,
    type: row.type as SessionEventRecord['type'],
    at: row.at.toISOString(),
    data: row.data as Record<string, unknown>,
  }))
}
