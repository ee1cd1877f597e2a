import type { SessionEventRecord } from '@orien/protocol'
import type { Unit } from '../db/executor.ts'
import type { Bus, NewEvent } from './bus.ts'
import { insertEvent, insertEvents } from './store.ts'

/** Writes an event in the transaction that it tells of, and wakes readers once that is committed. */
export async function appendEvent(bus: Bus, unit: Unit, sessionId: string, event: NewEvent): Promise<void> {
  announce(bus, unit, sessionId, await insertEvent(unit.tx, sessionId, event))
}

/** The same for many sessions, one event each; the caller holds their locks or takes them by it. */
export async function appendEvents(
  bus: Bus,
  unit: Unit,
  events: ReadonlyMap<string, NewEvent>,
): Promise<void> {
  const records = await insertEvents(unit.tx, events)
  for (const [sessionId, record] of records) announce(bus, unit, sessionId, record)
}

/** Wakes readers of an event that was written in a transaction, once that is committed. */
export function announce(bus: Bus, unit: Unit, sessionId: string, record: SessionEventRecord): void {
  unit.after(() => bus.publish(sessionId, { kind: 'event', sequence: record.sequence, record }))
}
