import type { RunReport } from '@orien/protocol'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Outcome } from '../receipts/outcome.ts'

/** What the node counts, for its owner. No label names a session, an agent or a tool. */
export type NodeMetrics = {
  page: () => Promise<{ contentType: string; text: string }>
  ended: (outcome: Outcome, report: RunReport) => void
  refused: (code: string) => void
  requests: Counter<'route' | 'method' | 'class'>
  registry: Registry
}

/** What is read at the moment somebody asks for the page. */
export type NodeFigures = {
  running: number
  queued: number
  sessions: number
  unacknowledgedReceipts: number
  refusedReceipts: number
  isLinked: boolean
  discardedFor?: Readonly<Record<string, number>> | undefined
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

const GAUGES: readonly [name: string, help: string, read: (figures: NodeFigures) => number][] = [
  ['orien_node_executions_running', 'Tools that run', ({ running }) => running],
  ['orien_node_executions_queued', 'Executions that wait for a slot', ({ queued }) => queued],
  ['orien_node_sessions', 'Sessions in the journal', ({ sessions }) => sessions],
  ['orien_node_link_up', '1 while the coordinator has let the node in', ({ isLinked }) => Number(isLinked)],
  [
    'orien_node_receipts_unacknowledged',
    'Receipts that the coordinator has not acknowledged',
    ({ unacknowledgedReceipts }) => unacknowledgedReceipts,
  ],
  [
    'orien_node_receipts_refused',
    'Receipts that the coordinator has refused, until their session is final',
    ({ refusedReceipts }) => refusedReceipts,
  ],
]

/** @param read the figures of the moment */
export function createNodeMetrics(read: () => NodeFigures): NodeMetrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  for (const [name, help, of] of GAUGES) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(of(read()))
      },
    })
  }
  const phases = new Histogram({
    name: 'orien_node_execution_phase_seconds',
    help: 'Time of one phase of an execution: queue, set_up, run, receipt',
    labelNames: ['phase'],
    buckets: SECONDS,
    registers,
  })
  const executions = new Counter({
    name: 'orien_node_executions_total',
    help: 'Executions that ended with a receipt',
    labelNames: ['status', 'reason'],
    registers,
  })
  const refusals = new Counter({
    name: 'orien_node_refusals_total',
    help: 'Dispatches that the node refused to run, by code',
    labelNames: ['code'],
    registers,
  })
  const requests = new Counter({
    name: 'orien_node_http_requests_total',
    help: 'Answered requests of the loopback interface',
    labelNames: ['route', 'method', 'class'],
    registers,
  })
  countDiscards(registers, read)
  const seen = (phase: string, ms: number | undefined) => {
    if (ms !== undefined) phases.observe({ phase }, ms / 1_000)
  }
  return {
    page: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
    ended: ({ status, reason }, { queueMs, setUpMs, runMs, receiptMs }) => {
      executions.inc({ status, reason: reason ?? '' })
      seen('queue', queueMs)
      seen('set_up', setUpMs)
      seen('run', runMs)
      seen('receipt', receiptMs)
    },
    refused: (code) => refusals.inc({ code }),
    requests,
    registry,
  }
}

/** The driver counts them itself. */
function countDiscards(registers: Registry[], read: () => NodeFigures): void {
  new Counter({
    name: 'orien_node_sandboxes_discarded_total',
    help: 'Sandboxes that were not used again, by reason',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset()
      for (const [reason, count] of Object.entries(read().discardedFor ?? {})) this.inc({ reason }, count)
    },
  })
}
