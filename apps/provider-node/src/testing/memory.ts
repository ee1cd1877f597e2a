import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

const CHUNK_BYTES = 4 * 1_048_576
const OVERLAP_BYTES = 4_096

/** Whether any writable page of a process holds one of some byte strings. The caller must be allowed to trace it. */
export function memoryHolds(pid: number, needles: readonly Buffer[]): boolean {
  const regions = readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    for (const [, from = '0', to = '0'] of regions)
      if (regionHolds(memory, Number.parseInt(from, 16), Number.parseInt(to, 16), needles)) return true
    return false
  } finally {
    closeSync(memory)
  }
}

function regionHolds(memory: number, from: number, to: number, needles: readonly Buffer[]): boolean {
  const chunk = Buffer.alloc(CHUNK_BYTES + OVERLAP_BYTES)
  for (let at = from; at < to; at += CHUNK_BYTES) {
    const bytes = readPages(memory, chunk.subarray(0, Math.min(chunk.length, to - at)), at)
    if (needles.some((needle) => bytes.includes(needle))) return true
  }
  return false
}

/** Pages that cannot be read (guard pages, devices) hold nothing of ours. */
function readPages(memory: number, into: Buffer, at: number): Buffer {
  try {
    return into.subarray(0, readSync(memory, into, 0, into.length, at))
  } catch {
    return Buffer.alloc(0)
  }
}
