import { join } from 'node:path'
import type { Tracing } from '@orien/tracing'
import type pg from 'pg'
import type { Context } from './context.ts'
import { loadCustodyKey } from './custody/key.ts'
import { createDatabase } from './db/executor.ts'
import { createBus } from './events/bus.ts'
import { createFeeds } from './events/feed.ts'
import { selectEventsAfter } from './events/store.ts'
import { createDispatcher } from './execution/dispatch.ts'
import { loadCoordinatorKey } from './keys.ts'
import { createOutbox } from './settlement/outbox.ts'
import { openTelemetry } from './telemetry/openTelemetry.ts'

/** What differs between a coordinator that serves and one whose time, chance, nodes and chain are a test's. */
export type Surroundings = Pick<
  Context,
  'config' | 'clock' | 'random' | 'log' | 'nodes' | 'chain' | 'rail' | 'chainHealth' | 'databaseHealth'
> & {
  pool: pg.Pool
  tracing: Tracing
  /** Called when a transaction was planned. */
  onPlanned: () => void
}

/** Puts together everything that verbs use. */
export function composeContext({ pool, tracing, onPlanned, ...given }: Surroundings): Context {
  const db = createDatabase(pool)
  const bus = createBus()
  const feeds = createFeeds(bus, (sessionId, after, limit) =>
    selectEventsAfter(db.read, sessionId, after, limit),
  )
  const base = {
    ...given,
    db,
    bus,
    feeds,
    outbox: createOutbox(given.random, onPlanned),
    key: loadCoordinatorKey(join(given.config.dataDir, 'coordinator.key'), given.random),
    custody: loadCustodyKey(join(given.config.dataDir, 'custody.key'), given.random),
  }
  const observed = { ...base, ...openTelemetry({ ...base, pool, tracing }) }
  return { ...observed, dispatcher: createDispatcher(observed) }
}
