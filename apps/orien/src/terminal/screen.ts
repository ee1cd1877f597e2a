import type { Terminal } from './terminal.ts'

/** Lines that are drawn over those that were drawn before, as far as the terminal can; else one block after the other. */
export type Screen = { draw(lines: readonly string[]): void }

const CLEAR_BELOW = '\u001b[J'
const up = (lines: number) => (lines > 0 ? `\u001b[${lines}A` : '')

/** @param size of the terminal; none where the output is no terminal */
export function createScreen(
  terminal: Pick<Terminal, 'write' | 'print'>,
  size: () => { columns: number; rows: number } | undefined,
): Screen {
  let drawn = 0
  return {
    draw: (lines) => {
      const now = size()
      if (!now) {
        for (const line of lines) terminal.print(line)
        return
      }
      // A line that wraps, or one above the top of the screen, could not be drawn over.
      const fitting = lines.slice(0, now.rows - 1).map((line) => line.slice(0, now.columns - 1))
      const text = `${up(drawn)}\r${CLEAR_BELOW}${fitting.join('\n')}\n`
      drawn = fitting.length
      terminal.write(new TextEncoder().encode(text), 'stdout')
    },
  }
}
