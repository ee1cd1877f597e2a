import { add, type UsdcMicros } from '@orien/protocol'
import { exactUsdc, groupedMs, shortBytes } from './amounts.ts'
import { type Column, layTable } from './table.ts'
import type { Paint } from './terminal.ts'

/** A run on a bill. */
export type BilledRun = {
  tool: string
  /** `completed`, or why it failed. */
  outcome: string
  effectiveMs: number
  cpuMs: number
  /** Absent where the node did not count it. */
  readBytes?: number | undefined
  writtenBytes?: number | undefined
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
  { title: 'read', align: 'right' },
  { title: 'written', align: 'right' },
  { title: 'cost USDC', align: 'right' },
]

/** Of what is not counted, nothing is known; of a sum with such a part, neither. */
function moved(runs: readonly BilledRun[], name: 'readBytes' | 'writtenBytes'): string {
  const bytes = runs.map((run) => run[name])
  const isCounted = bytes.every((each) => each !== undefined)
  return isCounted ? shortBytes(bytes.reduce((sum, each) => sum + each, 0)) : '-'
}

const sum = (runs: readonly BilledRun[], name: 'effectiveMs' | 'cpuMs') =>
  runs.reduce((total, run) => total + run[name], 0)

/** What a session cost, run by run, and the total. */
export function billTable(runs: readonly BilledRun[], paint: Paint): string[] {
  const cellsOf = (tool: string, outcome: string, of: readonly BilledRun[]) => [
    tool,
    outcome,
    groupedMs(sum(of, 'effectiveMs')),
    groupedMs(sum(of, 'cpuMs')),
    moved(of, 'readBytes'),
    moved(of, 'writtenBytes'),
    exactUsdc(add(...of.map((run) => run.costMicros))),
  ]
  const cells = runs.map((run) => cellsOf(run.tool, run.outcome, [run]))
  const { head, rows, width } = layTable(COLUMNS, [...cells, cellsOf('total', '', runs)])
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
