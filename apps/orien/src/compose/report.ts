import type { Terminal } from '../terminal/terminal.ts'
import type { Report } from './stack.ts'

const NAME_WIDTH = 13

/** Shows a start to a person, one part a line. */
export function reportTo(terminal: Terminal): Report {
  const { err } = terminal
  return {
    part: (name, what) => {
      const [first = '', ...more] = what.split('\n')
      terminal.say(`${err.green('✓')} ${err.bold(name.padEnd(NAME_WIDTH))} ${first}`)
      for (const line of more) terminal.say(`  ${' '.repeat(NAME_WIDTH)} ${err.dim(line)}`)
    },
    warn: (line) => terminal.say(`${err.yellow('!')} ${line}`),
  }
}
