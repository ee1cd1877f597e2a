import { add, type UsdcMicros } from '@orien/protocol'
import { exactUsdc, groupedMs } from './amounts.ts'
import { type Column, layTable } from './table.ts'
import type { Paint } from './terminal.ts'

/** A run on a bill. */
export type BilledRun = {
  tool: string
  /** `completed`, or why it failed. */
  outcome: string
  effectiveMs: number
  cpuMs: number
  costMicros: UsdcMicros
}

/** Where a deposit went; the parts sum up to it. */
export type Shares = {
  depositMicros: UsdcMicros
  providerMicros: UsdcMicros
  platformMicros: UsdcMicros
  reserveMicros: UsdcMicros
  refundedMicros: UsdcMicros
}

const COLUMNS: readonly Column[] = [
  { title: 'tool', align: 'left' },
  { title: 'outcome', align: 'left' },
  { title: 'effective ms', align: 'right' },
  { title: 'cpu ms', align: 'right' },
  { title: 'cost USDC', align: 'right' },
]

/** What a session cost, run by run, and the total. */
export function billTable(runs: readonly BilledRun[], paint: Paint): string[] {
  const sum = (pick: (run: BilledRun) => number) => runs.reduce((total, run) => total + pick(run), 0)
  const total = add(...runs.map((run) => run.costMicros))
  const cells = runs.map(({ tool, outcome, effectiveMs, cpuMs, costMicros }) => [
    tool,
    outcome,
    groupedMs(effectiveMs),
    groupedMs(cpuMs),
    exactUsdc(costMicros),
  ])
  const totals = [
    'total',
    '',
    groupedMs(sum((run) => run.effectiveMs)),
    groupedMs(sum((run) => run.cpuMs)),
    exactUsdc(total),
  ]
  const { head, rows, width } = layTable(COLUMNS, [...cells, totals])
  const rule = '─'.repeat(width)
  return [paint.dim(head), ...rows.slice(0, -1), paint.dim(rule), paint.bold(rows.at(-1) ?? '')]
}

/** Where the deposit went, as a sum that adds up. */
export function sharesTable(shares: Shares, paint: Paint): string[] {
  const columns: Column[] = [
    { title: '', align: 'left' },
    { title: '', align: 'right' },
  ]
  const { rows, width } = layTable(columns, [
    ['provider 90 %', exactUsdc(shares.providerMicros)],
    ['platform 7 %', exactUsdc(shares.platformMicros)],
    ['reserve 3 %', exactUsdc(shares.reserveMicros)],
    ['refunded to the agent', exactUsdc(shares.refundedMicros)],
    ['deposit', exactUsdc(shares.depositMicros)],
  ])
  return [...rows.slice(0, -1), paint.dim('─'.repeat(width)), paint.bold(rows.at(-1) ?? '')]
}
