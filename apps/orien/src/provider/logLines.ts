import type { DestinationStream } from 'pino'
import { printable, type Terminal } from '../terminal/terminal.ts'

const WARNING = 40
const ERROR = 50

/** Says each line of a log to the person at a terminal, who reads no JSON. */
export function logLines({ say, err }: Pick<Terminal, 'say' | 'err'>): DestinationStream {
  return {
    write: (json) => {
      const { level, time, event, msg, ...facts } = JSON.parse(json) as Record<string, unknown>
      const said = event ?? msg
      const line = [clockOf(Number(time)), said, ...Object.entries(facts).map(shown)].join(' ')
      const paint = Number(level) >= ERROR ? err.red : Number(level) >= WARNING ? err.yellow : err.dim
      say(paint(printable(line)))
    },
  }
}

const clockOf = (timeMs: number) => new Date(timeMs).toTimeString().slice(0, 8)

/** A stack helps nobody who watches: what went wrong is said by code and sentence. */
function shown([name, fact]: [string, unknown]): string {
  if (name === 'err' && typeof fact === 'object' && fact !== null) {
    const { code, message } = fact as { code?: unknown; message?: unknown }
    return [code, message].filter(Boolean).join(': ')
  }
  return `${name}=${typeof fact === 'string' ? fact : JSON.stringify(fact)}`
}
