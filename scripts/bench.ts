/**
 * Runs the benchmark rows one after the other and prints each figure beside its reference and its target.
 *
 *     node scripts/bench.ts [--list] [--json] [--save FILE] [--compare FILE] [part of a row's name...]
 *
 * The table (or the JSON) goes to stdout, progress to stderr. `--save` keeps the JSON for a later `--compare`. Only a row
 * that throws fails the run: on a machine that others use a missed target proves nothing.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { type BenchResult, type BenchRow, isMet, ratioOf } from '../tests/bench/row.ts'
import { type BenchLine, benchTable, type EarlierFigures } from '../tests/bench/table.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

async function loadRows(names: string[]): Promise<BenchRow[]> {
  const files = globSync('tests/bench/*.bench.ts', { cwd: root }).sort()
  const modules = await Promise.all(files.map((file) => import(pathToFileURL(join(root, file)).href)))
  const rows = modules.flatMap((module: { rows: BenchRow[] }) => module.rows)
  return rows.filter((row) => names.length === 0 || names.some((name) => row.name.includes(name)))
}

async function measure(row: BenchRow): Promise<BenchLine> {
  const { name, reference, better, target } = row
  const startedMs = performance.now()
  const facts = { name, reference, better, ...(target ? { target } : {}) }
  const tookSeconds = () => Math.round((performance.now() - startedMs) / 100) / 10
  try {
    const result: BenchResult = await row.run()
    const met = isMet(row, result)
    const ratio = ratioOf(row, result)
    return { ...facts, ...result, ratio, ...(met === undefined ? {} : { met }), tookSeconds: tookSeconds() }
  } catch (error) {
    return {
      ...facts,
      problem: error instanceof Error ? error.message : String(error),
      tookSeconds: tookSeconds(),
    }
  }
}

function readEarlier(file: string): EarlierFigures {
  const saved = JSON.parse(readFileSync(file, 'utf8')) as { rows: BenchLine[] }
  return new Map(saved.rows.flatMap((line) => ('ratio' in line ? [[line.name, line]] : [])))
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean' },
    json: { type: 'boolean' },
    save: { type: 'string' },
    compare: { type: 'string' },
  },
})
const rows = await loadRows(positionals)
const lines: BenchLine[] = []
if (values.list) for (const row of rows) console.log(row.name)
else for (const row of rows) lines.push(await announced(row))

async function announced(row: BenchRow): Promise<BenchLine> {
  console.error(`measuring ${row.name} ...`)
  return measure(row)
}

const machine = {
  cores: availableParallelism(),
  loadAverage: Number(loadavg()[0]?.toFixed(2)),
  node: process.version,
}
const totalSeconds = Math.round(lines.reduce((sum, line) => sum + line.tookSeconds, 0))
const json = JSON.stringify({ machine, totalSeconds, rows: lines }, null, 2)
if (values.save) writeFileSync(values.save, `${json}\n`)
if (values.json) console.log(json)
else if (!values.list) {
  const earlier = values.compare ? readEarlier(values.compare) : undefined
  console.log(benchTable(lines, earlier))
  const of = `${machine.cores} cores, load ${machine.loadAverage} at the end, Node ${machine.node}`
  console.log(`\n${lines.length} rows in ${totalSeconds} s; ${of}`)
}
const isGood = rows.length > 0 && lines.every((line) => !('problem' in line))
// A row may leave a server of its own behind: the table is complete, so nothing is worth waiting for.
process.stdout.write('', () => process.exit(isGood ? 0 : 1))
