import type { Unit } from '../db/executor.ts'
import type { Bus, NewEvent } from './bus.ts'
import { insertEvent, insertEvents } from './store.ts'

/** Writes an event in the transaction that it tells of, and wakes readers once that is committed. */
export async function appendEvent(bus: Bus, unit: Unit, sessionId: string, event: NewEvent): Promise<void> {
  const sequence = await insertEvent(unit.tx, sessionId, event)
  unit.after(() => bus.publish(sessionId, { kind: 'event', sequence }))
}

/** The same for many sessions, one event each; the caller holds their locks or takes them by it. */
export async function appendEvents(
  bus: Bus,
  unit: Unit,
  events: ReadonlyMap<string, NewEvent>,
): Promise<void> {
  const sequences = await insertEvents(unit.tx, events)
  unit.after(() => {
    for (const [sessionId, sequence] of sequences) bus.publish(sessionId, { kind: 'event', sequence })
  })
}
