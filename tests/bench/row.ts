/** What one measurement found: both figures in the same unit, taken in the same run on the same machine. */
export type BenchResult = { value: number; referenceValue: number; unit: string; note?: string }

/**
 * One line of the benchmark table. A figure alone says nothing about a machine that nobody knows, so every row
 * brings a reference and measures it itself.
 *
 * A file `tests/bench/<subject>.bench.ts` exports `rows: BenchRow[]`; `npm run bench` finds it by its name.
 */
export type BenchRow = {
  /** What is measured: "empty tool, warm sandbox, dispatch to exit, p50". */
  name: string
  /** What it is compared with: "spawn of the same program without a sandbox, p50". */
  reference: string
  /** Which direction is better; the table's ratio is always "times better than the reference". */
  better: 'lower' | 'higher'
  /** The ratio below which the benchmark fails. Leave it out where a loaded machine would decide. */
  goalRatio?: number
  run: () => Promise<BenchResult>
}

/** How many times better than its reference a figure is; below 1 it is worse. */
export function ratioOf(row: Pick<BenchRow, 'better'>, result: BenchResult): number {
  return row.better === 'higher' ? result.value / result.referenceValue : result.referenceValue / result.value
}
