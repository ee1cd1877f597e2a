import pc from 'picocolors'
import type { Settings } from '../config.ts'

/** Colours of one stream; they do nothing where it takes none. */
export type Paint = ReturnType<typeof pc.createColors>

/** Where a command writes: results to stdout, everything else to stderr. */
export type Terminal = {
  /** Results are for a program: stdout carries JSON and nothing else. */
  isJson: boolean
  /** Colours of results. */
  out: Paint
  /** Colours of progress. */
  err: Paint
  /** A line of the result. */
  print: (line: string) => void
  /** Bytes as they are, to the stream that a tool wrote them to. */
  write: (bytes: Uint8Array, stream: 'stdout' | 'stderr') => void
  /** The result as one line of JSON; amounts become decimal strings. */
  printJson: (value: unknown) => void
  /** A line of progress. */
  say: (line: string) => void
  /** A line that the next one replaces, where the terminal can; else a plain line. Null takes it away. */
  status: (line: string | null) => void
  /** Whether a status line is replaced in place. */
  isLive: boolean
}

/** A stream as far as it matters here. */
export type Sink = { write: (data: string | Uint8Array) => unknown; isTTY?: boolean; columns?: number }

/** Where a terminal does not say how wide it is, or says 0. */
const USUAL_COLUMNS = 80
const CLEAR_LINE = '\r\u001b[K'

function isColoured(stream: Sink, settings: Pick<Settings, 'colours'>): boolean {
  return settings.colours === 'always' || (settings.colours === 'auto' && stream.isTTY === true)
}

export function createTerminal(
  streams: { stdout: Sink; stderr: Sink },
  settings: Pick<Settings, 'colours'>,
  isJson: boolean,
): Terminal {
  const { stdout, stderr } = streams
  const out = pc.createColors(isColoured(stdout, settings))
  const err = pc.createColors(isColoured(stderr, settings))
  const isLive = stderr.isTTY === true
  let status: string | null = null
  // On a terminal both streams end on one screen: a line of either goes above the status line.
  const above = (write: () => void) => {
    if (status !== null) stderr.write(CLEAR_LINE)
    write()
    if (status !== null) stderr.write(status)
  }
  return {
    isJson,
    isLive,
    out,
    err,
    print: (line) => above(() => stdout.write(`${line}\n`)),
    write: (bytes, stream) => above(() => streams[stream].write(bytes)),
    printJson: (value) => above(() => stdout.write(`${toJson(value)}\n`)),
    say: (line) => above(() => stderr.write(`${line}\n`)),
    status: (line) => {
      if (!isLive) {
        if (line !== null) stderr.write(`${line}\n`)
        return
      }
      if (status !== null) stderr.write(CLEAR_LINE)
      // A line that wraps could not be replaced.
      status = line === null ? null : err.dim(line.slice(0, (stderr.columns || USUAL_COLUMNS) - 1))
      if (status !== null) stderr.write(status)
    },
  }
}

/** JSON of results: amounts as decimal strings, as on the wire. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? item.toString() : item))
}

/** Text of others for a terminal: without characters that steer it or turn the direction of writing. */
export function printable(text: string): string {
  // Tab is the one control character that only moves forward.
  return text.replaceAll(/[^\P{Cc}\t]|[\u202a-\u202e\u2066-\u2069]/gu, '')
}
