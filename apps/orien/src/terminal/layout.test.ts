import { micros } from '@orien/protocol'
import pc from 'picocolors'
import { expect, test } from 'vitest'
import { counted, exactUsdc, groupedMs, shortBytes, shortTime } from './amounts.ts'
import { billTable, sharesTable } from './bill.ts'
import { meterLine } from './meter.ts'
import { outcomeLine } from './outcome.ts'
import { layTable } from './table.ts'

const plain = pc.createColors(false)

test('a bill adds up line by line, and its columns stay in line', () => {
  const runs = [
    {
      tool: 'execute_script',
      outcome: 'completed',
      effectiveMs: 412,
      cpuMs: 380,
      readBytes: 5_242_880,
      writtenBytes: 1_023,
      costMicros: micros(4_120n),
    },
    {
      tool: 'render_scene',
      outcome: 'budget_exhausted',
      effectiveMs: 65_210,
      cpuMs: 60_000,
      readBytes: 0,
      writtenBytes: 0,
      costMicros: micros(652_100n),
    },
  ]
  expect(billTable(runs, plain)).toEqual([
    'tool            outcome           effective ms  cpu ms     read  written  cost USDC',
    'execute_script  completed                  412     380  5.0 MiB   1023 B   0.004120',
    'render_scene    budget_exhausted        65,210  60,000      0 B      0 B   0.652100',
    '───────────────────────────────────────────────────────────────────────────────────',
    'total                                   65,622  60,380  5.0 MiB   1023 B   0.656220',
  ])
})

test('a bill claims nothing about bytes that a node did not count', () => {
  const run = { tool: 'a', outcome: 'completed', effectiveMs: 1, cpuMs: 1, costMicros: micros(1n) }
  const lines = billTable([{ ...run, readBytes: 10 }, run], plain)
  expect(lines.slice(1, 3).map((line) => line.split(/ {2,}/).slice(4, 6))).toEqual([
    ['10 B', '-'],
    ['-', '-'],
  ])
  expect(lines.at(-1)?.split(/ {2,}/).slice(3, 5)).toEqual(['-', '-'])
})

test('a bill without runs shows a total of nothing', () => {
  expect(billTable([], plain).at(-1)).toBe('total                      0       0   0 B      0 B   0.000000')
})

test('the shares of a deposit are shown as a sum', () => {
  const shares = {
    depositMicros: micros(500_000n),
    providerMicros: micros(61_587n),
    platformMicros: micros(4_790n),
    reserveMicros: micros(2_053n),
    refundedMicros: micros(431_570n),
  }
  expect(sharesTable(shares, plain)).toEqual([
    'provider 90 %          0.061587',
    'platform 7 %           0.004790',
    'reserve 3 %            0.002053',
    'refunded to the agent  0.431570',
    '───────────────────────────────',
    'deposit                0.500000',
  ])
})

test('a meter shows what was used of what the run may cost', () => {
  const run = { tool: 'render_scene', rateMicrosPerMinute: micros(600_000n), holdMicros: micros(30_000n) }
  expect(meterLine({ ...run, effectiveMs: 0 })).toBe(
    'render_scene  0 ms  0.000000 of 0.030000 USDC  [····················]',
  )
  expect(meterLine({ ...run, effectiveMs: 1_500 })).toBe(
    'render_scene  1.5 s  0.015000 of 0.030000 USDC  [██████████··········]',
  )
})

test('a meter never shows more than the hold', () => {
  const run = { tool: 'a', rateMicrosPerMinute: micros(600_000n), holdMicros: micros(30_000n) }
  expect(meterLine({ ...run, effectiveMs: 9_999 })).toBe(
    'a  9.9 s  0.030000 of 0.030000 USDC  [████████████████████]',
  )
})

test('an outcome says how the run ended, what was measured and what it cost', () => {
  const measured = { effectiveMs: 412, cpuMs: 1_380, maxRssBytes: 3_145_728, costMicros: micros(4_120n) }
  expect(outcomeLine({ status: 'completed', exitCode: 0, ...measured })).toBe(
    'completed  412 ms effective, 1.3 s CPU, 3.0 MiB at most  0.004120 USDC',
  )
  expect(outcomeLine({ status: 'failed', reason: 'nonzero_exit', exitCode: 3, ...measured })).toBe(
    'nonzero_exit 3  412 ms effective, 1.3 s CPU, 3.0 MiB at most  0.004120 USDC',
  )
  const moved = { readBytes: 5_242_880, writtenBytes: 1_023 }
  expect(outcomeLine({ status: 'completed', exitCode: 0, ...measured, ...moved })).toBe(
    'completed  412 ms effective, 1.3 s CPU, 3.0 MiB at most, 5.0 MiB read, 1023 B written  0.004120 USDC',
  )
  const lost = { effectiveMs: 0, cpuMs: 0, maxRssBytes: 0, costMicros: micros(0n) }
  expect(outcomeLine({ status: 'failed', reason: 'lost', exitCode: null, ...lost })).toBe(
    'lost  0 ms effective, 0 ms CPU  0.000000 USDC',
  )
})

test('amounts keep all six decimals, whatever their size', () => {
  expect(exactUsdc(micros(0n))).toBe('0.000000')
  expect(exactUsdc(micros(1n))).toBe('0.000001')
  expect(exactUsdc(micros(1_500_000n))).toBe('1.500000')
  expect(exactUsdc(micros(9_223_372_036_854_775_807n))).toBe('9223372036854.775807')
})

test('times, sizes and counts are rounded down for people, never up', () => {
  expect([0, 999, 1_000, 59_999, 60_000, 125_900].map(shortTime)).toEqual([
    '0 ms',
    '999 ms',
    '1.0 s',
    '59.9 s',
    '1 min 0 s',
    '2 min 5 s',
  ])
  expect([0, 1_023, 1_024, 1_572_864].map(shortBytes)).toEqual(['0 B', '1023 B', '1.0 KiB', '1.5 MiB'])
  expect([7, 1_000, 1_234_567].map(groupedMs)).toEqual(['7', '1,000', '1,234,567'])
  expect([counted(0, 'run'), counted(1, 'run'), counted(2, 'run')]).toEqual(['0 runs', '1 run', '2 runs'])
})

test('a table is as wide as its widest cells and has no space at the end of a line', () => {
  const columns = [
    { title: 'name', align: 'left' },
    { title: 'n', align: 'right' },
    { title: 'rest', align: 'left' },
  ] as const
  expect(
    layTable(columns, [
      ['a', '10', 'x'],
      ['longer', '7', ''],
    ]),
  ).toEqual({
    head: 'name     n  rest',
    rows: ['a       10  x', 'longer   7'],
    width: 16,
  })
})
