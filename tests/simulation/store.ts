import { sha256Hex } from '@orien/protocol'
import type { Journal } from '../../apps/provider-node/src/journal/journal.ts'
import {
  decodeRecord,
  encodeRecord,
  type JournalRecord,
} from '../../apps/provider-node/src/journal/record.ts'
import { applyRecord, emptyState } from '../../apps/provider-node/src/journal/state.ts'
import type { Piece, Spool, Spools } from '../../apps/provider-node/src/output/spool.ts'

/** What a machine keeps when its node dies. */
export type Disk = { lines: string[]; output: Map<string, Piece[]> }

/** A journal whose writes reach the disk when the simulation says so. */
export type SimulatedJournal = Journal & {
  /** Lines that are not on the disk yet. */
  waiting: () => number
  /** Writes what waits; everybody who waits for it goes on. */
  flush: () => void
  /** The process is dead: the first so many of the waiting lines had arrived. */
  crash: (arrived: number) => void
}

/** What a disk can get wrong; the simulation must notice each. */
export type DiskFlaw = 'keeps nothing it said it kept' | 'says kept before it is' | 'none'

export function openSimulatedJournal(disk: Disk, flaw: DiskFlaw): SimulatedJournal {
  const state = emptyState()
  for (const line of disk.lines) {
    const record = decodeRecord(line)
    if (record) applyRecord(state, record)
  }
  let queue: { line: string; kept: () => void }[] = []
  let isDead = false
  const append = (record: JournalRecord): Promise<void> => {
    // A dead process changes nothing any more, and nobody hears of it.
    if (isDead) return new Promise(() => {})
    applyRecord(state, record)
    return new Promise((resolve) => {
      queue.push({ line: encodeRecord(record), kept: resolve })
      if (flaw === 'says kept before it is') resolve()
    })
  }
  return {
    state,
    append,
    appendDurable: append,
    note: (record) => void append(record),
    close: async () => {},
    waiting: () => queue.length,
    flush: () => {
      const written = queue
      queue = []
      disk.lines.push(...written.map(({ line }) => line))
      for (const { kept } of written) kept()
    },
    crash: (arrived) => {
      disk.lines.push(...queue.slice(0, arrived).map(({ line }) => line))
      if (flaw === 'keeps nothing it said it kept') disk.lines.splice(1)
      queue = []
      isDead = true
    },
  }
}

/** Output in memory that outlives the node. */
export function createSimulatedSpools(disk: Disk): Spools {
  const open = (executionId: string, isOver: boolean): Spool => {
    const pieces = disk.output.get(executionId) ?? []
    disk.output.set(executionId, pieces)
    let ended = isOver
    let progress = Promise.withResolvers<void>()
    const tell = () => {
      progress.resolve()
      progress = Promise.withResolvers<void>()
    }
    const bytes = () => Buffer.concat(pieces.map((piece) => piece.bytes))
    return {
      write: async ({ stream, bytes: more }) => {
        pieces.push({ stream, offset: bytes().length, bytes: more })
        tell()
      },
      end: async () => {
        ended = true
        tell()
        return { sha256: sha256Hex(bytes().toString('utf8')), bytes: bytes().length }
      },
      hasMore: async (cursor, signal) => {
        while (cursor.position >= pieces.length && !ended && !signal.aborted) await progress.promise
        return cursor.position < pieces.length && !signal.aborted
      },
      readBlock: async (cursor) => {
        const block = pieces.slice(cursor.position)
        const length = block.reduce((sum, piece) => sum + piece.bytes.length, 0)
        return { pieces: block, next: { position: pieces.length, offset: cursor.offset + length } }
      },
    }
  }
  return {
    create: (executionId) => open(executionId, false),
    reopen: async (executionId) => open(executionId, true),
    remove: async (executionId) => void disk.output.delete(executionId),
  }
}
