import { existsSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type Logger, pino } from 'pino'

/** The path of a new log file; the one of the last start stays beside it. */
export function newLogFile(dir: string, name: string): string {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const path = join(dir, `${name}.log`)
  if (existsSync(path)) renameSync(path, join(dir, `${name}.previous.log`))
  return path
}

/** Structured lines to a file, so that the terminal is left to people. */
export function fileLogger(path: string, level: string): Logger {
  return pino({ level }, pino.destination({ dest: path, sync: true }))
}

/** A descriptor for a child's output. */
export function openLog(path: string): number {
  return openSync(path, 'a', 0o600)
}
