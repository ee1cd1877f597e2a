import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createPool, startEmbeddedPostgres } from '@orien/coordinator'
import { costMicros, durationMs, makeId, micros } from '@orien/protocol'
import { systemClock } from '../../apps/coordinator/src/clock.ts'
import { createDatabase } from '../../apps/coordinator/src/db/executor.ts'
import { functionFilesBelow, migrateDatabase } from '../../apps/coordinator/src/db/migrate.ts'
import { createSubmitter } from '../../apps/coordinator/src/execution/submit.ts'
import { createRecorder } from '../../apps/coordinator/src/metering/record.ts'
import { createFigureReader } from '../../apps/coordinator/src/telemetry/figures.ts'
import type { LiveFigures } from '../../apps/coordinator/src/telemetry/gauges.ts'
import { createMetrics } from '../../apps/coordinator/src/telemetry/metrics.ts'
import { openPgbench } from './pgbench.ts'
import { postgresCpuMs, postmasterOf } from './processorTime.ts'
import type { BenchResult, BenchRow } from './row.ts'

const sourceDir = fileURLToPath(new URL('../../apps/coordinator/src', import.meta.url))
/** pgbench and ours in turns, so that a disk that is slow for a while is so for both. */
const TURNS = 7
const TURN_SECONDS = 2
const SESSIONS = 256
const RATE = micros(600_000n)

const unasked = () => new Promise<never>(() => {})
const nothingStored = createFigureReader(systemClock, unasked, unasked)

/** The verbs count what they do, as they do in a coordinator; nobody asks for the page. */
const NOTHING_LIVE: LiveFigures = {
  nodesOnline: () => 0,
  subscribers: () => 0,
  trails: () => 0,
  pool: () => ({ totalCount: 0, idleCount: 0, waitingCount: 0 }),
  refresh: async () => {},
  figures: nothingStored.figures,
}

type Ledger = {
  url: string
  postmaster: number
  runOne: (session: number) => Promise<void>
  stop: () => Promise<void>
}

/** A database with sessions that have endless budgets, and the two verbs of a run on it. */
async function openLedger(): Promise<Ledger> {
  const dataDir = mkdtempSync(join(tmpdir(), 'orien-bench-'))
  const postgres = await startEmbeddedPostgres({ dataDir })
  await migrateDatabase({
    url: postgres.url,
    migrationsDir: join(sourceDir, 'db/migrations'),
    functionFiles: functionFilesBelow(sourceDir),
  })
  const pool = createPool({ url: postgres.url })
  const ids = await insertSessions(pool)
  const parts = { db: createDatabase(pool), clock: systemClock, metrics: createMetrics(NOTHING_LIVE) }
  const submitter = createSubmitter(parts)
  const recorder = createRecorder(parts)
  const chains = ids.map(() => ({
    sequence: 0,
    head: '0'.repeat(64),
    cumulative: 0n,
    tail: Promise.resolve(),
  }))
  const runOne = async (index: number): Promise<void> => {
    const session = ids[index] ?? ''
    const chain = chains[index]
    if (!chain) return
    const execution = makeId('execution', Date.now(), new Uint8Array(randomBytes(10)))
    await submitter.submit(submission(session, execution))
    // Receipts of one session are a chain, so its runs report one after the other.
    chain.tail = chain.tail.then(async () => {
      const hash = randomBytes(32).toString('hex')
      const cost = costMicros(RATE, durationMs(100))
      const grant = chain.sequence + 1
      const recorded = await recorder.submit(
        recording({
          session,
          execution,
          previous: chain.head,
          hash,
          grant,
          cost,
          cumulative: chain.cumulative + cost,
        }),
      )
      if (recorded.outcome !== 'accepted') throw new TypeError(`${recorded.code}: ${recorded.detail}`)
      chain.sequence = grant
      chain.head = hash
      chain.cumulative += cost
    })
    await chain.tail
  }
  const stop = async () => {
    await pool.end()
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
  const { rows: backends } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid')
  return { url: postgres.url, postmaster: postmasterOf(backends[0]?.pid ?? 0), runOne, stop }
}

async function insertSessions(pool: ReturnType<typeof createPool>): Promise<string[]> {
  const id = (kind: 'session' | 'agent') => makeId(kind, Date.now(), new Uint8Array(randomBytes(10)))
  const agent = id('agent')
  const provider = `prv_${'0'.repeat(26)}`
  await pool.query('insert into agents (id, wallet) values ($1, $1)', [agent])
  await pool.query(
    `insert into providers (id, name, payout, operator, node_key, rate_micros_per_minute, tools, isolation, registration, registration_issued_at)
     values ($1, 'bench', '0x', '0x', 'k', $2, '[]', 'none', '{}', 0)`,
    [provider, RATE],
  )
  const ids = Array.from({ length: SESSIONS }, () => id('session'))
  await pool.query(
    `insert into sessions (id, agent_id, provider_id, status, rail, rate_micros_per_minute, budget_micros, authorised_micros,
       receipt_head, offer, offer_hash, registration, payee, salt, channel_id, channel_status, voucher_signature)
     select id, $2, $3, 'active', 'escrow', $4, 1000000000000, 1000000000000, repeat('0', 64), '', '', '{}', '', '', id, 'open', ''
     from unnest($1::text[]) id`,
    [ids, agent, provider, RATE],
  )
  return ids
}

const limits = { timeMs: 1_000, memoryBytes: 1, processes: 1, diskBytes: 1, outputBytes: 1_024 }

function submission(session: string, execution: string) {
  const key = execution
  const common = { tool: 'bench', manifest: 'm', args: {}, salt: '0x', limits, limitMs: 1_000 }
  return {
    session,
    execution,
    key,
    body: key,
    ...common,
    minimumGrantMs: 100,
    oneGrantMs: 30_000,
    leaseMs: 900_000,
    maxOpen: 1_000,
  }
}

/** As long as real ones and as hard to compress: storing them is part of the work, making them is not. */
const SIGNED = Array.from({ length: 512 }, () => ({
  jws: randomBytes(1_248).toString('base64url'),
  countersignature: randomBytes(240).toString('base64url'),
}))

const signed = (grant: number) => SIGNED[grant % SIGNED.length] ?? { jws: '', countersignature: '' }

type Place = {
  session: string
  execution: string
  previous: string
  hash: string
  grant: number
  cost: bigint
  cumulative: bigint
}

function recording({ session, execution, previous, hash, grant, cost, cumulative }: Place) {
  const now = new Date().toISOString()
  return {
    session,
    execution,
    provider: `prv_${'0'.repeat(26)}`,
    nodeKey: 'k',
    channel: session,
    sequence: grant,
    previous,
    hash,
    ...signed(grant),
    tool: 'bench',
    manifest: 'm',
    grant,
    rate: RATE.toString(),
    hold: costMicros(RATE, durationMs(1_000)).toString(),
    deadlineMs: 1_000,
    status: 'completed',
    cost: cost.toString(),
    cumulative: cumulative.toString(),
    effectiveMs: 100,
    cpuMs: 90,
    maxRss: '1000000',
    exitCode: 0,
    startedAt: now,
    endedAt: now,
    observedMs: 200,
    wasStarted: false,
    toleranceMs: 250,
    tolerancePerMille: 10,
  }
}

/** Runs from so many clients for a while. @returns runs per second */
async function drive(ledger: Ledger, clients: number): Promise<number> {
  const startedMs = performance.now()
  const untilMs = startedMs + TURN_SECONDS * 1_000
  let done = 0
  const client = async (index: number) => {
    while (performance.now() < untilMs) {
      await ledger.runOne(index % SESSIONS)
      done += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)))
  return (done / (performance.now() - startedMs)) * 1_000
}

/** What was done in some turns, and the processor time that it took. */
type Tally = { perSecond: number[]; done: number; postgresMs: number; ownMs: number }

const emptyTally = (): Tally => ({ perSecond: [], done: 0, postgresMs: 0, ownMs: 0 })

async function turn(ledger: Ledger, tally: Tally, once: () => Promise<number>): Promise<void> {
  const [postgresFromMs, ownFrom] = [postgresCpuMs(ledger.postmaster), process.cpuUsage()]
  const perSecond = await once()
  const { user, system } = process.cpuUsage(ownFrom)
  tally.perSecond.push(perSecond)
  tally.done += perSecond * TURN_SECONDS
  tally.postgresMs += postgresCpuMs(ledger.postmaster) - postgresFromMs
  tally.ownMs += (user + system) / 1_000
}

const median = (values: readonly number[]) =>
  values.toSorted((left, right) => left - right)[values.length >> 1] ?? Number.NaN

async function compare(inFlight: number): Promise<BenchResult> {
  const ledger = await openLedger()
  try {
    await drive(ledger, inFlight)
    const pgbench = await openPgbench({ url: ledger.url, clients: 16, protocol: 'prepared' })
    if ('unavailable' in pgbench) {
      const value = await drive(ledger, inFlight)
      return { value, referenceValue: Number.NaN, unit: 'per s', note: pgbench.unavailable }
    }
    const [ours, theirs] = [emptyTally(), emptyTally()]
    for (let count = 0; count < TURNS; count += 1) {
      await turn(ledger, theirs, async () => (await pgbench.measure(TURN_SECONDS)).tps)
      await turn(ledger, ours, () => drive(ledger, inFlight))
    }
    const each = (ms: number, { done }: Tally) => ((ms / done) * 1_000).toFixed(0)
    const note = [
      `median of ${TURNS} turns each; a run is two commits; processor time of PostgreSQL and of ours`,
      `${each(ours.postgresMs, ours)} + ${each(ours.ownMs, ours)} µs a run,`,
      `of PostgreSQL for pgbench ${each(theirs.postgresMs, theirs)} µs a transaction`,
    ].join(' ')
    return { value: median(ours.perSecond), referenceValue: median(theirs.perSecond), unit: 'per s', note }
  } finally {
    await ledger.stop()
  }
}

const reference = 'pgbench -M prepared, TPC-B-like, 16 clients, same PostgreSQL'

export const rows: BenchRow[] = [
  {
    name: 'ledger: hold + capture + receipt, 16 clients',
    reference,
    better: 'higher',
    target: { ratio: 0.7 },
    run: () => compare(16),
  },
  {
    name: 'ledger: hold + capture + receipt, 256 in flight',
    reference,
    better: 'higher',
    target: { ratio: 2.5 },
    run: () => compare(256),
  },
]
