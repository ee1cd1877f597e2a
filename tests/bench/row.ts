/** What one measurement found: both figures in the same unit, taken in the same run on the same machine. */
export type BenchResult = { value: number; referenceValue: number; unit: string; note?: string }

/**
 * One line of the benchmark table. A figure alone says nothing about a machine that nobody knows, so every row
 * brings a reference and measures it itself.
 *
 * A file `tests/bench/<subject>.bench.ts` exports `rows: BenchRow[]`; `npm run bench` finds it by its name. Every row
 * sets up what it needs and can be run alone.
 */
export type BenchRow = {
  /** What is measured: "empty tool, warm sandbox, dispatch to exit, p50". */
  name: string
  /** What it is compared with: "spawn of the same program without a sandbox, p50". */
  reference: string
  /** Which direction is better; the table's ratio is always "times better than the reference". */
  better: 'lower' | 'higher'
  /** What is aimed at: a figure in the row's unit, or a ratio to the reference. Missing it is shown, not a failure. */
  target?: { value: number } | { ratio: number }
  run: () => Promise<BenchResult>
}

/** How many times better than its reference a figure is; below 1 it is worse. */
export function ratioOf(row: Pick<BenchRow, 'better'>, result: BenchResult): number {
  return row.better === 'higher' ? result.value / result.referenceValue : result.referenceValue / result.value
}

/** Whether a row reached what it aims at; undefined when it aims at nothing. */
export function isMet(row: Pick<BenchRow, 'better' | 'target'>, result: BenchResult): boolean | undefined {
  if (!row.target) return undefined
  if ('ratio' in row.target) return ratioOf(row, result) >= row.target.ratio
  const { value } = row.target
  return row.better === 'higher' ? result.value >= value : result.value <= value
}
