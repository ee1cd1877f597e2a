import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { add, least, splitCumulative, subtract, type UsdcMicros, ZERO } from '@orien/protocol'
import { JOURNAL_PATH, readJournal } from '../journal/journal.ts'
import type { Session } from '../journal/state.ts'
import { daysOf, EARNINGS_DIR } from './book.ts'
import { decodeLine } from './line.ts'

/** Runs with something in common. `grossMicros` is what agents pay; nine tenths of it are the provider's. */
export type EarningsRow = { key: string; runs: number; effectiveMs: number; grossMicros: UsdcMicros }

/**
 * Where the money of a session is. `claimable`: earned, and covered by a voucher that the provider holds. `closing`: the
 * close is signed. `settling`: the coordinator calls it settled and the chain is not final yet. `paid`: final there.
 */
type EarningsState = 'claimable' | 'closing' | 'settling' | 'paid' | 'unknown'

/** See {@link loadEarnings}. */
export type Earnings = {
  days: EarningsRow[]
  tools: EarningsRow[]
  sessions: (EarningsRow & { state: EarningsState; providerMicros: UsdcMicros })[]
  /** The provider's shares by where the money is; what was claimed of a session that goes on is paid. */
  totals: Record<EarningsState, UsdcMicros>
  runs: number
  grossMicros: UsdcMicros
  providerMicros: UsdcMicros
}

/**
 * What a node has earned on the days of its book, newest first, beside what its journal says of the sessions. Also while
 * the node runs.
 *
 * @param since the first day, `2026-06-01`
 * @throws OrienError `unreadable` (journal)
 */
export async function loadEarnings(dataDir: string, since = ''): Promise<Earnings> {
  const { sessions: open } = await readJournal(join(dataDir, JOURNAL_PATH))
  const rows = { days: new Map(), tools: new Map(), sessions: new Map() } satisfies Record<string, Rows>
  const paid = new Set<string>()
  const claimed = new Map<string, UsdcMicros>()
  for (const name of await daysOf(dataDir)) {
    const day = name.slice(0, 10)
    if (day < since) continue
    const seen = new Set<string>()
    for (const text of (await readFile(join(dataDir, EARNINGS_DIR, name), 'utf8')).split('\n')) {
      const line = decodeLine(text)
      if (line?.t === 'paid') paid.add(line.sessionId)
      // In the order of time, and what is claimed only grows.
      if (line?.t === 'claimed') claimed.set(line.sessionId, line.settledMicros)
      // A start notes again what was signed and not acknowledged, lest a crash in between had lost it.
      if (line?.t !== 'run' || seen.has(line.executionId)) continue
      seen.add(line.executionId)
      count(rows.days, day, line)
      count(rows.tools, line.tool, line)
      count(rows.sessions, line.sessionId, line)
    }
  }
  return sum(rows, open, { paid, claimed })
}

type Rows = Map<string, EarningsRow>
type Run = { effectiveMs: number; costMicros: UsdcMicros }

function count(rows: Rows, key: string, { effectiveMs, costMicros }: Run): void {
  const row = rows.get(key) ?? { key, runs: 0, effectiveMs: 0, grossMicros: ZERO }
  row.runs += 1
  row.effectiveMs += effectiveMs
  row.grossMicros = add(row.grossMicros, costMicros)
  rows.set(key, row)
}

function stateOf(session: Session | undefined, isPaid: boolean): EarningsState {
  if (isPaid) return 'paid'
  if (!session) return 'unknown'
  if (session.forgotten) return 'settling'
  return session.closed ? 'closing' : 'claimable'
}

function sum(
  rows: { days: Rows; tools: Rows; sessions: Rows },
  open: ReadonlyMap<string, Session>,
  { paid, claimed }: { paid: ReadonlySet<string>; claimed: ReadonlyMap<string, UsdcMicros> },
): Earnings {
  const sessions = [...rows.sessions.values()].map((row) => ({
    ...row,
    state: stateOf(open.get(row.key), paid.has(row.key)),
    providerMicros: splitCumulative(row.grossMicros).providerMicros,
  }))
  const totals = { claimable: ZERO, closing: ZERO, settling: ZERO, paid: ZERO, unknown: ZERO }
  for (const { key, state, providerMicros } of sessions) {
    const part = splitCumulative(claimed.get(key) ?? ZERO).providerMicros
    const paidMicros = least(part, providerMicros)
    totals.paid = add(totals.paid, paidMicros)
    totals[state] = add(totals[state], subtract(providerMicros, paidMicros))
  }
  const days = [...rows.days.values()].sort((a, b) => (a.key < b.key ? 1 : -1))
  const bySum = (a: EarningsRow, b: EarningsRow) => (a.grossMicros < b.grossMicros ? 1 : -1)
  return {
    days,
    tools: [...rows.tools.values()].sort(bySum),
    sessions: sessions.sort((a, b) => (a.key < b.key ? 1 : -1)),
    totals,
    runs: days.reduce((all, { runs }) => all + runs, 0),
    grossMicros: add(ZERO, ...days.map(({ grossMicros }) => grossMicros)),
    providerMicros: add(ZERO, ...sessions.map(({ providerMicros }) => providerMicros)),
  }
}
