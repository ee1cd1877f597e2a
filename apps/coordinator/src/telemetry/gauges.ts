import { Gauge, type Registry } from 'prom-client'
import { signatureEngine } from '../signatures.ts'
import type { Figures } from './figures.ts'
import { sampleOf } from './sample.ts'

/** Items that wait for a group commit, and those being committed. */
export type BatchLoad = { queued: number; inFlight: number }

/** What is read at the moment somebody asks for the page. */
export type LiveFigures = {
  nodesOnline: () => number
  subscribers: () => number
  pool: () => { totalCount: number; idleCount: number; waitingCount: number }
  /** Executions of which this process remembers when they were accepted. */
  trails: () => number
  /** Brings the figures of database and chain up to date, in bounded time; keeps the old ones where it cannot. */
  refresh: () => Promise<void>
  figures: () => Figures
}

type Value = readonly [labels: Record<string, string>, value: number]
type Row = readonly [name: string, help: string, labels: readonly string[], read: () => Iterable<Value>]

const one = (value: number): Value[] => [[{}, value]]

type Registered = {
  batchers: ReadonlyMap<string, () => BatchLoad>
  remembered: ReadonlyMap<string, () => number>
}

function processRows(live: LiveFigures, of: Registered): Row[] {
  const batchers = (figure: keyof BatchLoad) =>
    [...of.batchers].map(([batcher, load]) => [{ batcher }, load()[figure]] as const)
  return [
    ['orien_nodes_online', 'Nodes with a WebSocket to this replica', [], () => one(live.nodesOnline())],
    ['orien_stream_subscribers', 'Open event streams', [], () => one(live.subscribers())],
    [
      'orien_native_signatures',
      '1 with libsecp256k1, 0 with JavaScript, thirty times slower',
      [],
      () => one(signatureEngine === 'native' ? 1 : 0),
    ],
    [
      'orien_remembered_items',
      'What the process keeps of executions that have not ended',
      ['what'],
      () => [...of.remembered].map(([what, count]) => [{ what }, count()] as const),
    ],
    [
      'orien_pool_connections',
      'Connections to PostgreSQL, and requests that wait for one',
      ['state'],
      () => {
        const { totalCount, idleCount, waitingCount } = live.pool()
        return [
          [{ state: 'busy' }, totalCount - idleCount],
          [{ state: 'idle' }, idleCount],
          [{ state: 'waiting' }, waitingCount],
        ]
      },
    ],
    ['orien_batch_queued_items', 'Items that wait for a group commit', ['batcher'], () => batchers('queued')],
    ['orien_batch_open_items', 'Items being committed', ['batcher'], () => batchers('inFlight')],
  ]
}

function databaseRows(figures: () => Figures): Row[] {
  return [
    ['orien_figures_age_seconds', 'Age of the figures below', [], () => one(figures().ageSeconds)],
    [
      'orien_ledger_micros',
      'Folded balance of all accounts of a class, in micro-USDC',
      ['class'],
      () => figures().ledger.map((row) => [{ class: row.class }, sampleOf(row.micros)]),
    ],
    [
      'orien_transactions_open',
      'Planned transactions that are not final',
      ['kind', 'status'],
      () => figures().transactions.map(({ kind, status, count }) => [{ kind, status }, count]),
    ],
    [
      'orien_transactions_oldest_seconds',
      'Age of the oldest planned transaction that is not final',
      ['kind', 'status'],
      () =>
        figures().transactions.map(({ kind, status, oldestSeconds }) => [{ kind, status }, oldestSeconds]),
    ],
    [
      'orien_transactions_stuck',
      'Transactions that are not mined at the highest fee that may be offered, or whose nonce is spent',
      [],
      () => one(figures().stuckTransactions),
    ],
    [
      'orien_oldest_unpaid_seconds',
      'Age of the oldest session that has ended with earnings and is not settled',
      [],
      () => one(figures().oldestUnpaidSeconds),
    ],
    [
      'orien_overdue_payouts',
      'Sessions that have ended with earnings more than 24 hours ago and are not settled',
      [],
      () => one(figures().overduePayouts),
    ],
    ['orien_leases_open', 'Leases of executions that have not ended', [], () => one(figures().leasesOpen)],
    [
      'orien_leases_expiring',
      'Open leases that end within a minute, or have ended',
      [],
      () => one(figures().leasesExpiring),
    ],
  ]
}

function relayerRows(figures: () => Figures): Row[] {
  return [
    [
      'orien_relayer_beat_age_seconds',
      'Since the leader of the relayer last finished a pass',
      [],
      () => one(figures().relayerBeatSeconds ?? Number.NaN),
    ],
    [
      'orien_relayer_balance_wei',
      'What the relayer has for gas',
      [],
      () => one(sampleOf(figures().relayerWei ?? 'NaN')),
    ],
    [
      'orien_relayer_spent_gas',
      'Gas that the relayer has paid for in this UTC day, final on the chain',
      [],
      () => one(sampleOf(figures().spentGas)),
    ],
    [
      'orien_relayer_spent_wei',
      'What the relayer has paid for gas in this UTC day, final on the chain',
      [],
      () => one(sampleOf(figures().spentWei)),
    ],
  ]
}

/** Registers every gauge; each is read when the page is asked for. */
export function serveGauges(registry: Registry, live: LiveFigures, registered: Registered): void {
  for (const [name, help, labelNames, read] of [
    ...processRows(live, registered),
    ...databaseRows(live.figures),
    ...relayerRows(live.figures),
  ]) {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        // What is not there any more must not go on being shown.
        this.reset()
        for (const [labels, value] of read()) this.set(labels, value)
      },
    })
  }
}
