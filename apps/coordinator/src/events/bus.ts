import type { EventType, Receipt, SessionEventRecord } from '@orien/protocol'

/** How a run ended: its recorded receipt. */
export type RunEnd = { receipt: Receipt; jws: string; countersignature: string }

/**
 * Something that subscribers of a session may want to know at once. The database stays the truth; whoever has just
 * written an event may send it along, so that nobody needs to read it.
 */
export type BusMessage =
  | { kind: 'event'; sequence: number; record?: SessionEventRecord; ended?: string; end?: RunEnd }
  | { kind: 'log'; executionId: string; stream: 'stdout' | 'stderr'; offset: number; data: Uint8Array }
  | { kind: 'meter'; executionId: string; effectiveMs: number }

/** Wakes readers of sessions. In process; a distributed one has the same shape. */
export type Bus = {
  publish: (sessionId: string, message: BusMessage) => void
  /** @returns a function that ends the subscription */
  subscribe: (sessionId: string, listener: (message: BusMessage) => void) => () => void
}

export function createBus(): Bus {
  const listeners = new Map<string, Set<(message: BusMessage) => void>>()
  return {
    publish: (sessionId, message) => {
      for (const listener of listeners.get(sessionId) ?? []) listener(message)
    },
    subscribe: (sessionId, listener) => {
      const group = listeners.get(sessionId) ?? new Set()
      listeners.set(sessionId, group)
      group.add(listener)
      return () => {
        if (group.delete(listener) && group.size === 0) listeners.delete(sessionId)
      }
    },
  }
}

/** An event to be written: its type and wire values. */
export type NewEvent = { type: EventType; data: Record<string, unknown> }
