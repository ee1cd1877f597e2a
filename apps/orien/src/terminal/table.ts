/** A column of a table. */
export type Column = { title: string; align: 'left' | 'right' }

/** One line of a table: its cells padded, nothing coloured yet. */
export type TableLines = { head: string; rows: string[]; width: number }

const GAP = '  '

/**
 * Lays cells out in columns as wide as their widest cell.
 *
 * @example
 * layTable([{ title: 'tool', align: 'left' }], [['run_build']]).rows // ['run_build']
 */
export function layTable(columns: readonly Column[], cells: readonly (readonly string[])[]): TableLines {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((row) => row[index]?.length ?? 0)),
  )
  const layRow = (row: readonly string[]) =>
    columns
      .map(({ align }, index) => {
        const width = widths[index] ?? 0
        const cell = row[index] ?? ''
        return align === 'right' ? cell.padStart(width) : cell.padEnd(width)
      })
      .join(GAP)
      .trimEnd()
  const width = widths.reduce((sum, each) => sum + each, GAP.length * (columns.length - 1))
  return { head: layRow(columns.map(({ title }) => title)), rows: cells.map(layRow), width }
}
