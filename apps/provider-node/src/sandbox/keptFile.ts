import { closeSync, openSync, readSync, writeSync } from 'node:fs'

const READ_BYTES = 4_096
const text = Buffer.alloc(READ_BYTES)

/** A file of the kernel that stays open: opening it anew for each of a thousand runs a second costs more than the rest. */
type Kept = { read(): string; write(value: string): boolean; close(): void }

/** A file that is not there. */
export const NOTHING: Kept = { read: () => '', write: () => false, close: () => {} }

/** Opens a file, for reading alone where it may not be written. */
export function keep(path: string, flags: 'r' | 'r+'): Kept {
  let fd: number
  try {
    fd = openSync(path, flags)
  } catch {
    return flags === 'r' ? NOTHING : keep(path, 'r')
  }
  return {
    read: () => text.toString('latin1', 0, readSync(fd, text, 0, READ_BYTES, 0)),
    write: (value) => {
      try {
        writeSync(fd, value)
        return flags === 'r+'
      } catch {
        return false
      }
    },
    close: () => closeSync(fd),
  }
}
