import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** What the coordinator counts. Names follow Prometheus' conventions; durations are seconds. */
export type Metrics = {
  registry: Registry
  requests: Counter<'route' | 'method' | 'status'>
  requestSeconds: Histogram<'route'>
  executions: Counter<'status' | 'reason'>
  billedMs: Counter
  costMicros: Counter
  refusals: Counter<'code'>
}

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** @param live read when the page is asked for */
export function createMetrics(live: {
  nodesOnline: () => number
  subscribers: () => number
  oldestUnpaidSeconds: () => Promise<number>
}): Metrics {
  const registry = new Registry()
  const registers = [registry]
  new Gauge({
    name: 'orien_nodes_online',
    help: 'Connected nodes',
    registers,
    collect() {
      this.set(live.nodesOnline())
    },
  })
  new Gauge({
    name: 'orien_stream_subscribers',
    help: 'Open event streams',
    registers,
    collect() {
      this.set(live.subscribers())
    },
  })
  new Gauge({
    name: 'orien_oldest_unpaid_seconds',
    help: 'Age of the oldest session that has ended and is not settled',
    registers,
    async collect() {
      this.set(await live.oldestUnpaidSeconds())
    },
  })
  return {
    registry,
    requests: new Counter({
      name: 'orien_http_requests_total',
      help: 'Answered requests',
      labelNames: ['route', 'method', 'status'],
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'orien_http_request_seconds',
      help: 'Time to answer',
      labelNames: ['route'],
      buckets: BUCKETS,
      registers,
    }),
    executions: new Counter({
      name: 'orien_executions_total',
      help: 'Runs that ended',
      labelNames: ['status', 'reason'],
      registers,
    }),
    billedMs: new Counter({
      name: 'orien_billed_milliseconds_total',
      help: 'Billed effective time',
      registers,
    }),
    costMicros: new Counter({
      name: 'orien_cost_micros_total',
      help: 'Captured cost in micro-USDC',
      registers,
    }),
    refusals: new Counter({
      name: 'orien_refused_receipts_total',
      help: 'Receipts refused or disputed',
      labelNames: ['code'],
      registers,
    }),
  }
}
