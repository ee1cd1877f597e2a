import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { signatureEngine } from './signatures.ts'

/** What the coordinator counts. Names follow Prometheus' conventions; durations are seconds. */
export type Metrics = {
  registry: Registry
  requests: Counter<'route' | 'method' | 'status'>
  requestSeconds: Histogram<'route'>
  executions: Counter<'status' | 'reason'>
  billedMs: Counter
  refusals: Counter<'code'>
}

/** What is read at the moment somebody asks for the page. */
export type LiveFigures = {
  nodesOnline: () => number
  subscribers: () => number
  oldestUnpaidSeconds: () => Promise<number>
}

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export function createMetrics(live: LiveFigures): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number | Promise<number>) =>
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        this.set(await read())
      },
    })
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter({ name, help, labelNames, registers })
  gauge('orien_nodes_online', 'Connected nodes', live.nodesOnline)
  gauge('orien_stream_subscribers', 'Open event streams', live.subscribers)
  gauge(
    'orien_oldest_unpaid_seconds',
    'Age of the oldest session that has ended and is not settled',
    live.oldestUnpaidSeconds,
  )
  gauge('orien_native_signatures', '1 with libsecp256k1, 0 with JavaScript, thirty times slower', () =>
    signatureEngine === 'native' ? 1 : 0,
  )
  return {
    registry,
    requests: counter('orien_http_requests_total', 'Answered requests', ['route', 'method', 'status']),
    requestSeconds: new Histogram({
      name: 'orien_http_request_seconds',
      help: 'Time to answer',
      labelNames: ['route'],
      buckets: BUCKETS,
      registers,
    }),
    executions: counter('orien_executions_total', 'Runs that ended with a receipt', ['status', 'reason']),
    billedMs: counter('orien_billed_milliseconds_total', 'Billed effective time'),
    refusals: counter('orien_refused_receipts_total', 'Receipts refused or disputed', ['code']),
  }
}
