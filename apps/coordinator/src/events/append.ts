import type { Unit } from '../db/executor.ts'
import type { Bus, NewEvent } from './bus.ts'
import { insertEvent } from './store.ts'

/** Writes an event in the transaction that it tells of, and wakes readers once that is committed. */
export async function appendEvent(bus: Bus, unit: Unit, sessionId: string, event: NewEvent): Promise<void> {
  const sequence = await insertEvent(unit.tx, sessionId, event)
  unit.after(() => bus.publish(sessionId, { kind: 'event', sequence }))
}
