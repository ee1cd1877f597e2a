/**
 * Mixed load with kills, and a line a minute: memory, descriptors, event loop, latency, invariants.
 *
 *     npm run soak -- --minutes 30
 *
 * A node is killed every two minutes, a tenth of the coordinator's connections every minute, the coordinator itself
 * once, in the first quarter. Ends with 0 when nothing drifted and nothing grew after the warm-up.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { auditLedger, createPool } from '@orien/coordinator'
import { startRealNode } from '../harness/realNode.ts'
import { FLAT_PER_HOUR, growthPerHour, median, type Point } from './flatness.ts'
import { startLoad } from './load.ts'
import { openPlace } from './place.ts'
import { type ProcessFigures, readPage, readProcess, weigh, weighable } from './sample.ts'

const SAMPLE_EVERY_MS = 5_000
const MINUTE_MS = 60_000
/** Of the time, what counts as warm-up: heaps find their size, and the coordinator is killed in it. */
const WARM_UP = 0.4

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, agents: { type: 'string', default: '4' } },
})
const minutes = Number(values.minutes)

type Watched = { name: string; pid: () => number; isMeasured: boolean; samples: ProcessFigures[] }
const FIGURES = ['rssMebibytes', 'liveMebibytes', 'descriptors'] as const
type Series = Record<(typeof FIGURES)[number], Point[]>

const weights = mkdtempSync(join(tmpdir(), 'orien-weights-'))
const place = await openPlace(weighable(weights))
const steady = await startRealNode(place.asStack(), { environment: weighable(weights) })
const killed = await startRealNode(place.asStack())
const pool = createPool({ url: place.postgres.url, connections: 2, applicationName: 'soak' })
const watched: Watched[] = [
  { name: 'coordinator', pid: place.pid, isMeasured: true, samples: [] },
  { name: 'node', pid: steady.pid, isMeasured: true, samples: [] },
  { name: 'killed node', pid: killed.pid, isMeasured: false, samples: [] },
]
const series = new Map<string, Series>(
  watched.map(({ name }) => [name, { rssMebibytes: [], liveMebibytes: [], descriptors: [] }]),
)
const providers = Array.from({ length: Number(values.agents) }, (_, index) =>
  index % 4 === 3 ? killed.providerId : steady.providerId,
)
const load = await startLoad(place, providers)
const faults: Promise<unknown>[] = []
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    void Promise.allSettled([steady.stop(), killed.stop(), place.stop()]).then(() => process.exit(130))
  })
let isGood = true

console.log(
  'minute  runs  settled  p50 ms  p99 ms  loop p99 ms  coordinator MiB/alive/fd  node MiB/alive/fd  drift  failures',
)
const startedMs = performance.now()
for (let minute = 1; minute <= minutes; minute += 1) {
  cause(minute)
  while (performance.now() - startedMs < minute * MINUTE_MS) {
    for (const process of watched) {
      const figures = readProcess(process.pid())
      if (figures) process.samples.push(figures)
    }
    await pause(SAMPLE_EVERY_MS)
  }
  await tell(minute)
}
await load.stop()
await Promise.all(faults)
judge()
await conclude()
await pool.end()
await Promise.all([steady.stop(), killed.stop()])
await place.stop()
rmSync(weights, { recursive: true })
process.exitCode = isGood ? 0 : 1

/** What goes wrong in this minute; each fault is over before the next of its kind begins. */
function cause(minute: number): void {
  const cut = `select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'orien' and datname = current_database() and random() < 0.1`
  faults.push(pool.query(cut).catch(() => {}))
  if (minute % 2 === 0) faults.push(killed.kill().then(() => killed.start()))
  if (minute === Math.max(2, Math.floor(minutes / 4))) faults.push(place.killCoordinator())
}

async function tell(minute: number): Promise<void> {
  for (const { name, pid, isMeasured, samples } of watched) {
    const known = series.get(name)
    if (samples.length === 0 || !known) continue
    for (const figure of ['rssMebibytes', 'descriptors'] as const)
      known[figure].push({ minute, value: median(samples.map((sample) => sample[figure])) })
    samples.length = 0
    const value = isMeasured ? await weigh(pid(), weights) : null
    if (value !== null) known.liveMebibytes.push({ minute, value })
  }
  const { runs, settled, latenciesMs, failures } = load.take()
  const sorted = latenciesMs.sort((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? 0)
  const page = await readPage(place.url).catch(() => new Map<string, number>())
  const lagMs = Math.round((page.get('nodejs_eventloop_lag_p99_seconds') ?? Number.NaN) * 1_000)
  const drift = await drifted()
  const last = (name: string) => {
    const known = series.get(name)
    return FIGURES.map((figure) => Math.round(known?.[figure].at(-1)?.value ?? 0)).join('/')
  }
  const failed = [...failures].map(([code, count]) => `${code}×${count}`).join(' ')
  const figures = [
    runs,
    settled,
    at(0.5),
    at(0.99),
    lagMs,
    last('coordinator'),
    last('node'),
    drift || 'none',
    failed,
  ]
  console.log(`${String(minute).padStart(6)}  ${figures.join('  ')}`)
}

/** Names of the checks that found something. */
async function drifted(): Promise<string> {
  const found = (await auditLedger(pool)).filter(({ violations }) => violations > 0)
  if (found.length > 0) isGood = false
  return found.map(({ check, violations, example }) => `${check}: ${violations} (${example})`).join('; ')
}

function judge(): void {
  const from = minutes * WARM_UP
  for (const { name, isMeasured } of watched) {
    if (!isMeasured) continue
    for (const figure of FIGURES) {
      const points = (series.get(name)?.[figure] ?? []).filter((point) => point.minute > from)
      const growth = growthPerHour(points)
      const isFlat = growth <= FLAT_PER_HOUR[figure]
      if (!isFlat) isGood = false
      console.log(
        `${isFlat ? 'flat   ' : 'GROWING'} ${name} ${figure}: ${growth.toFixed(1)} an hour after warm-up (bound ${FLAT_PER_HOUR[figure]})`,
      )
    }
  }
}

async function conclude(): Promise<void> {
  const page = await readPage(place.url)
  const left = /^orien_(remembered_items|stream_subscribers|leases_open)/
  for (const [name, value] of page) if (left.test(name)) console.log(`${name} ${value}`)
  console.log(isGood ? 'soak passed' : 'soak FAILED')
}
