import type { Tracing } from '@orien/tracing'
import type pg from 'pg'
import type { Context } from '../context.ts'
import { createFigureReader } from './figures.ts'
import { createMetrics } from './metrics.ts'
import { selectFigures } from './store.ts'
import { createTrails } from './trails.ts'

type Parts = Pick<Context, 'clock' | 'db' | 'feeds' | 'nodes' | 'chainHealth'> & {
  pool: pg.Pool
  tracing: Tracing
}

/** Everything that tells about the process and does nothing else. */
export function openTelemetry(parts: Parts): Pick<Context, 'metrics' | 'figures' | 'trails' | 'tracing'> {
  const { clock, db, feeds, nodes, chainHealth, pool, tracing } = parts
  const figures = createFigureReader(clock, () => selectFigures(db.read), chainHealth.relayerWei)
  const trails = createTrails(clock, tracing)
  const metrics = createMetrics({
    nodesOnline: () => nodes.online().length,
    subscribers: feeds.readers,
    pool: () => pool,
    trails: trails.count,
    refresh: figures.refresh,
    figures: figures.figures,
  })
  return { metrics, figures, trails, tracing }
}
