/**
 * Runs the benchmark rows one after the other and prints each figure beside its reference.
 *
 *     node scripts/bench.ts [--json] [part of a row's name...]
 *
 * The table (or the JSON) goes to stdout, progress to stderr. A row that throws or misses its goal fails the run.
 */
import { globSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { type BenchResult, type BenchRow, ratioOf } from '../tests/bench/row.ts'

type Line = { name: string; reference: string } & (
  | ({ isGood: boolean; ratio: number; goalRatio?: number } & BenchResult)
  | { isGood: false; problem: string }
)

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const HEADINGS = ['', 'figure', 'reference', 'times better', 'measured against']

async function loadRows(names: string[]): Promise<BenchRow[]> {
  const files = globSync('tests/bench/*.bench.ts', { cwd: root }).sort()
  const modules = await Promise.all(files.map((file) => import(pathToFileURL(join(root, file)).href)))
  const rows = modules.flatMap((module: { rows: BenchRow[] }) => module.rows)
  return rows.filter((row) => names.length === 0 || names.some((name) => row.name.includes(name)))
}

async function measure(row: BenchRow): Promise<Line> {
  const { name, reference, goalRatio } = row
  try {
    const result = await row.run()
    const ratio = ratioOf(row, result)
    const isGood = Number.isFinite(ratio) && ratio >= (goalRatio ?? 0)
    return { name, reference, ...result, ratio, isGood, ...(goalRatio === undefined ? {} : { goalRatio }) }
  } catch (error) {
    return { name, reference, isGood: false, problem: error instanceof Error ? error.message : String(error) }
  }
}

/** Three significant digits: more would pretend to a precision that no shared machine has. */
function figure(value: number, unit: string): string {
  const text =
    Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
  return `${text} ${unit}`
}

function cells(line: Line): string[] {
  if ('problem' in line) return [line.name, 'FAILED', '', '', line.problem]
  const goal = line.goalRatio === undefined ? '' : ` (goal ${line.goalRatio}${line.isGood ? '' : ', MISSED'})`
  const note = line.note === undefined ? '' : `; ${line.note}`
  return [
    line.name,
    figure(line.value, line.unit),
    figure(line.referenceValue, line.unit),
    `${figure(line.ratio, '×')}${goal}`,
    `${line.reference}${note}`,
  ]
}

function table(lines: Line[]): string {
  const all = [HEADINGS, ...lines.map(cells)]
  const widths = HEADINGS.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const isText = (column: number) => column === 0 || column === HEADINGS.length - 1
  const pad = (text: string, column: number) => {
    const width = widths[column] ?? 0
    return isText(column) ? text.padEnd(width) : text.padStart(width)
  }
  return all.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } })
const rows = await loadRows(positionals)
const lines: Line[] = []
for (const row of rows) {
  console.error(`measuring ${row.name} ...`)
  lines.push(await measure(row))
}
const machine = {
  cores: availableParallelism(),
  loadAverage: Number(loadavg()[0]?.toFixed(2)),
  node: process.version,
}
const isGood = lines.length > 0 && lines.every((line) => line.isGood)
if (values.json) console.log(JSON.stringify({ machine, rows: lines }))
else {
  console.log(table(lines))
  console.log(`\n${machine.cores} cores, load ${machine.loadAverage} at the end, Node ${machine.node}`)
}
// A row may leave a server of its own behind: the table is complete, so nothing is worth waiting for.
process.stdout.write('', () => process.exit(isGood ? 0 : 1))
