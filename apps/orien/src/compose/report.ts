import type { Terminal } from '../terminal/terminal.ts'

/** What the start has to tell: a part that is up, or something that a person has to know. */
export type Report = { part: (name: string, what: string) => void; warn: (line: string) => void }

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
