import type { BillLine, BillVerdict } from '@orien/protocol'
import type { Paint } from '../terminal/terminal.ts'

/** Lines of a bill that belong together. Receipts are shown one a line, whatever was checked of each. */
type Group = { title: string; lines: BillLine[] }

function titleOf(line: string): string {
  return line.replace(/\[\d+\].*$/, '').split('.')[0] ?? line
}

function groupLines(lines: readonly BillLine[]): Group[] {
  const groups = new Map<string, Group>()
  for (const line of lines) {
    const title = titleOf(line.line)
    const group = groups.get(title) ?? { title, lines: [] }
    group.lines.push(line)
    groups.set(title, group)
  }
  return [...groups.values()]
}

/** `receipts[0].grant` and its siblings become one entry each receipt. */
function entriesOf({ title, lines }: Group): { name: string; parts: string[]; isOk: boolean }[] {
  const entries = new Map<string, { name: string; parts: string[]; isOk: boolean }>()
  for (const { line, ok } of lines) {
    const name = /^[^.]*\[\d+\]/.exec(line)?.[0] ?? title
    const entry = entries.get(name) ?? { name, parts: [], isOk: true }
    const part = line.slice(name.length + 1)
    if (part !== '' && !entry.parts.includes(part)) entry.parts.push(part)
    entry.isOk &&= ok
    entries.set(name, entry)
  }
  return [...entries.values()]
}

/**
 * What was checked, grouped, then the verdict; for a rejected bill the first line that fails.
 *
 * @example
 * verdictLines({ verdict: 'consistent', lines: [{ line: 'offer', ok: true }] }, paint) // ['✓ offer', '', 'consistent']
 */
export function verdictLines({ verdict, lines, failure }: BillVerdict, paint: Paint): string[] {
  const checked = groupLines(lines)
    .flatMap(entriesOf)
    .map(({ name, parts, isOk }) => {
      const mark = isOk ? paint.green('✓') : paint.red('✗')
      return `${mark} ${name}${parts.length > 0 ? `  ${paint.dim(parts.join(' '))}` : ''}`
    })
  if (failure) {
    const { line, detail } = failure
    return [...checked, '', paint.red(`rejected: ${line}${detail === undefined ? '' : ` ${detail}`}`)]
  }
  return [...checked, '', paint.bold(paint.green(verdict))]
}
