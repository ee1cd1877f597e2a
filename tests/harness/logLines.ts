import { Writable } from 'node:stream'
import { type Logger, pino } from 'pino'

/** A line as whoever reads the log file sees it. */
export type LogLine = Record<string, unknown> & { event?: string }

/** A logger that keeps its lines, debug and above. */
export function keepLines(): { log: Logger; lines: LogLine[]; of: (event: string) => LogLine[] } {
  const lines: LogLine[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)) as LogLine)
      done()
    },
  })
  return {
    log: pino({ level: 'debug' }, sink),
    lines,
    of: (event) => lines.filter((line) => line.event === event),
  }
}
