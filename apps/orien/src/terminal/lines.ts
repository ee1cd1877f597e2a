import { printable } from './terminal.ts'

/** Turns pieces of output into whole lines. A line that never ends is cut, so that it cannot fill the memory. */
const MAX_LINE_CHARS = 2_000

export function createLineCutter(onLine: (line: string) => void) {
  let rest = ''
  const emit = (line: string) => onLine(printable(line.slice(0, MAX_LINE_CHARS)))
  return {
    push: (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) emit(line)
      if (rest.length <= MAX_LINE_CHARS) return
      emit(rest)
      rest = ''
    },
    end: () => {
      if (rest !== '') emit(rest)
      rest = ''
    },
  }
}
