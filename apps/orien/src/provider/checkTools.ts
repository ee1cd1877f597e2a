import { readFileSync } from 'node:fs'
import { OrienError } from '@orien/protocol'
import type { Handler, Shell } from '../commands/bind.ts'
import { manifestOf, offeredTools } from './tools.ts'

type Issue = { path: string; message: string }

/** `orien provider tools check`: every mistake of a manifest, and every program that is not here, each with its line. */
export const checkTools: Handler<{ dataDir: string }> = async (shell, { dataDir }, [given]) => {
  const manifest = given ?? manifestOf(dataDir)
  const { terminal } = shell
  try {
    const items = await offeredTools(shell, manifest)
    if (terminal.isJson)
      terminal.printJson({ manifest, valid: true, tools: items.map(({ id }) => id), issues: [] })
    else
      terminal.print(
        `${terminal.out.green('ok')}  ${items.length} tools: ${items.map(({ id }) => id).join(', ')}`,
      )
    return 0
  } catch (error) {
    const issues = issuesOf(error)
    if (issues.length === 0) throw error
    if (terminal.isJson) terminal.printJson({ manifest, valid: false, tools: [], issues })
    else explain(shell, readFileSync(manifest, 'utf8').split('\n'), issues)
    return 1
  }
}

function issuesOf(error: unknown): Issue[] {
  if (!(error instanceof OrienError)) return []
  return Array.isArray(error.facts.issues) ? error.facts.issues : []
}

/** The line that is meant, with a mark under the place, as compilers show it. */
function explain({ terminal }: Shell, lines: readonly string[], issues: readonly Issue[]): void {
  for (const { path, message } of issues) {
    const [place = '', field = ''] = path.split(' ')
    terminal.print(`${terminal.out.red(place)} ${terminal.out.bold(field)} ${message}`)
    const [line = 1, column = 1] = place.split(':').slice(-2).map(Number)
    const text = lines[line - 1]
    if (text === undefined) continue
    const gutter = `${line} | `
    terminal.print(terminal.out.dim(`${gutter}${text}`))
    terminal.print(`${' '.repeat(gutter.length + column - 1)}${terminal.out.red('^')}`)
  }
  terminal.print(`${issues.length} ${issues.length === 1 ? 'mistake' : 'mistakes'}`)
}
