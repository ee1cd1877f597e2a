import { type ErrorCode, isErrorCode } from '@orien/protocol'
import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client'
import { type BatchLoad, type LiveFigures, serveGauges } from './gauges.ts'

/**
 * What the coordinator counts. Names follow Prometheus' conventions, base units last
 * (https://prometheus.io/docs/practices/naming/). No label names a session, an agent, a provider or a tool: every label
 * has a set of values that the source bounds.
 */
export type Metrics = {
  /** The page, with figures of the database that are at most some seconds old. Never fails for a fault elsewhere. */
  page: () => Promise<{ contentType: string; text: string }>
  registry: Registry
  requests: Counter<'route' | 'method' | 'class'>
  requestSeconds: Histogram<'route'>
  phase: (name: Phase, ms: number) => void
  executionSeconds: Histogram
  executions: Counter<'status' | 'reason'>
  billedSeconds: Counter
  capturedMicros: Counter
  refused: (code: string) => void
  receiptRefused: (code: string) => void
  disputes: Counter
  leasesExpired: Counter
  replacements: Counter
  relayRefusals: Counter<'scope'>
  jobSeconds: Histogram<'job' | 'status'>
  batchItems: Histogram<'batcher'>
  batchSeconds: Histogram<'batcher'>
  /** Group commits and what waits for them, by name. */
  batchers: Map<string, () => BatchLoad>
  /** What this process remembers of executions that have not ended; without a leak it follows the open leases. */
  remembered: Map<'trail' | 'dispatch' | 'output', () => number>
}

/** The phases of an execution, in their order; together they are its time. */
export type Phase = 'submit' | 'dispatch' | 'queue' | 'set_up' | 'run' | 'receipt' | 'transit' | 'commit'

const SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600,
]
const ITEMS = [1, 2, 4, 8, 16, 32, 64, 128]

/** A code that is not of the one table has no label of its own. */
const labelOf = (code: string): ErrorCode | 'other' => (isErrorCode(code) ? code : 'other')

export function createMetrics(live: LiveFigures): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter({ name, help, labelNames, registers })
  const histogram = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
    buckets = SECONDS,
  ) => new Histogram({ name, help, labelNames, buckets, registers })
  collectDefaultMetrics({ register: registry })
  const batchers = new Map<string, () => BatchLoad>()
  const remembered: Metrics['remembered'] = new Map([['trail', live.trails]])
  serveGauges(registry, live, { batchers, remembered })
  const phases = histogram('orien_execution_phase_seconds', 'Time of one phase of an execution', ['phase'])
  const refusals = counter('orien_refusals_total', 'Requests that were refused, by code', ['code'])
  const receipts = counter('orien_refused_receipts_total', 'Receipts refused or disputed, by code', ['code'])
  return {
    registry,
    batchers,
    remembered,
    page: async () => {
      await live.refresh()
      return { contentType: registry.contentType, text: await registry.metrics() }
    },
    phase: (phase, ms) => phases.observe({ phase }, ms / 1_000),
    refused: (code) => refusals.inc({ code: labelOf(code) }),
    receiptRefused: (code) => receipts.inc({ code: labelOf(code) }),
    ...httpMetrics(counter, histogram),
    ...moneyMetrics(counter, histogram),
    ...workMetrics(histogram),
  }
}

type MakeCounter = <Label extends string>(
  name: string,
  help: string,
  labels?: readonly Label[],
) => Counter<Label>
type MakeHistogram = <Label extends string>(
  name: string,
  help: string,
  labels?: readonly Label[],
  buckets?: number[],
) => Histogram<Label>

function httpMetrics(counter: MakeCounter, histogram: MakeHistogram) {
  return {
    requests: counter('orien_http_requests_total', 'Requests that ended', ['route', 'method', 'class']),
    requestSeconds: histogram('orien_http_request_seconds', 'Time until a request ended', ['route']),
  }
}

function moneyMetrics(counter: MakeCounter, histogram: MakeHistogram) {
  return {
    executionSeconds: histogram('orien_execution_seconds', 'From the request to the recorded receipt'),
    executions: counter('orien_executions_total', 'Executions that ended', ['status', 'reason']),
    billedSeconds: counter('orien_billed_seconds_total', 'Effective time that was billed'),
    capturedMicros: counter('orien_captured_micros_total', 'Cost of executions, in micro-USDC'),
    disputes: counter('orien_disputes_total', 'Receipts that were disputed'),
    leasesExpired: counter('orien_leases_expired_total', 'Executions lost: their lease ended unreported'),
    replacements: counter('orien_transaction_replacements_total', 'Transactions sent again for a higher fee'),
    relayRefusals: counter('orien_relay_refusals_total', 'Calls that were not relayed: a bound was reached', [
      'scope',
    ]),
  }
}

function workMetrics(histogram: MakeHistogram) {
  return {
    jobSeconds: histogram('orien_job_seconds', 'Time of one run of a job', ['job', 'status']),
    batchItems: histogram('orien_batch_items', 'Items of one group commit', ['batcher'], ITEMS),
    batchSeconds: histogram('orien_batch_seconds', 'Time of one group commit', ['batcher']),
  }
}
