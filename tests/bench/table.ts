import type { BenchResult, BenchRow } from './row.ts'

/** A row and what became of it. */
export type BenchLine = Pick<BenchRow, 'name' | 'reference' | 'better' | 'target'> & {
  tookSeconds: number
} & (({ ratio: number; met?: boolean } & BenchResult) | { problem: string })

/** Measured lines of an earlier run, by name. */
export type EarlierFigures = ReadonlyMap<string, BenchLine>

const HEADINGS = ['', 'figure', 'reference', 'times better', 'target', 'met']

/** Three significant digits: more would pretend to a precision that no shared machine has. */
function figure(value: number, unit: string): string {
  const text =
    Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
  return `${text} ${unit}`
}

function targetOf({ target, better }: BenchLine, unit: string): string {
  if (!target) return ''
  if ('ratio' in target) return `≥ ${figure(target.ratio, '×')}`
  return `${better === 'higher' ? '≥' : '≤'} ${figure(target.value, unit)}`
}

/** The change of figure and ratio together: the ratio alone still means something on another machine. */
function changeOf(line: BenchLine, earlier: EarlierFigures): string {
  const before = earlier.get(line.name)
  if (!before || 'problem' in before || 'problem' in line) return ''
  return `${figure(before.value, before.unit)}, ${figure(before.ratio, '×')}`
}

function cells(line: BenchLine, earlier: EarlierFigures | undefined): string[] {
  const before = earlier ? [changeOf(line, earlier)] : []
  const against = (note: string | undefined) => `${line.reference}${note === undefined ? '' : `; ${note}`}`
  if ('problem' in line) return [line.name, 'FAILED', '', '', '', '', ...before, line.problem]
  return [
    line.name,
    figure(line.value, line.unit),
    figure(line.referenceValue, line.unit),
    figure(line.ratio, '×'),
    targetOf(line, line.unit),
    line.met === undefined ? '' : line.met ? 'yes' : 'no',
    ...before,
    against(line.note),
  ]
}

/**
 * The benchmark as a table to read.
 *
 * @param earlier figures to show beside, of a saved run
 */
export function benchTable(lines: readonly BenchLine[], earlier?: EarlierFigures): string {
  const headings = [...HEADINGS, ...(earlier ? ['earlier'] : []), 'measured against']
  const all = [headings, ...lines.map((line) => cells(line, earlier))]
  const widths = headings.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const isText = (column: number) => column === 0 || column === headings.length - 1
  const pad = (text: string, column: number) => {
    const width = widths[column] ?? 0
    return isText(column) ? text.padEnd(width) : text.padStart(width)
  }
  return all.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}
