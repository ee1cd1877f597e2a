import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs'

/** Bounds of a log on the disk: together at most `bytes × (kept + 1)`. */
export type LogFileBounds = { bytes: number; kept: number }

const USUAL: LogFileBounds = { bytes: 10 * 1_048_576, kept: 5 }
const FILE_MODE = 0o600

/**
 * A destination for pino: a file that is put aside as `name.1`, `name.2`, … when it is full, the oldest forgotten. Written
 * line by line and at once, so that the last words of a crash are in it. A disk that takes nothing costs lines and never
 * the node; how many is said as soon as there is room.
 */
export function openLogFile(
  path: string,
  bounds: Partial<LogFileBounds> = {},
): { write(line: string): void } {
  const { bytes: mostBytes, kept } = { ...USUAL, ...bounds }
  let file = -1
  let size = 0
  let dropped = 0

  function open(): void {
    file = openSync(path, 'a', FILE_MODE)
    size = fstatSync(file).size
  }

  function rotate(): void {
    closeSync(file)
    file = -1
    for (let index = kept - 1; index >= 0; index -= 1) {
      const from = index === 0 ? path : `${path}.${index}`
      try {
        renameSync(from, `${path}.${index + 1}`)
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
      }
    }
    open()
  }

  function append(line: string): void {
    if (file === -1) open()
    if (size > 0 && size + Buffer.byteLength(line) > mostBytes) rotate()
    // A line that is cut off by a full disk is counted as dropped; its rest is not written later.
    size += writeSync(file, line)
  }

  // What is wrong at the beginning is told to who asked for the file.
  open()
  return {
    write: (line) => {
      try {
        if (dropped > 0) append(`${JSON.stringify({ level: 40, event: 'log.dropped', lines: dropped })}\n`)
        dropped = 0
        append(line)
      } catch {
        dropped += 1
      }
    },
  }
}
