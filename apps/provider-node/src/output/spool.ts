import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { InvariantViolation, invariant, LIMITS } from '@orien/protocol'

/** A piece of output with its place in all of the run's output. */
export type Piece = { stream: 'stdout' | 'stderr'; offset: number; bytes: Uint8Array }

/** How far a reader is: in the file, and in the output. */
export type Cursor = { position: number; offset: number }

export const START: Cursor = { position: 0, offset: 0 }

/**
 * The output of one run on its way to the coordinator. It lies in a file, so that a slow socket neither holds the tool
 * back, which would cost the agent, nor grows the node's memory. Gone with the receipt's acknowledgement.
 */
export type Spool = {
  write(piece: Pick<Piece, 'stream' | 'bytes'>): Promise<void>
  /** No more will come; said twice, it answers the same. */
  end(): Promise<{ sha256: string; bytes: number }>
  /** Resolves true as soon as there is something beyond the cursor, false at the end of all output. */
  hasMore(cursor: Cursor, signal: AbortSignal): Promise<boolean>
  /** The next pieces, bounded in bytes, cut always in the same places; no file stays open. */
  readBlock(cursor: Cursor): Promise<{ pieces: Piece[]; next: Cursor }>
}

/** The spools of a node. */
export type Spools = {
  create(executionId: string): Spool
  /** The output of a run of an earlier process, as far as it was kept. */
  reopen(executionId: string): Promise<Spool>
  remove(executionId: string): Promise<void>
}

// A piece on disk: one byte for the stream, four for the length, then the bytes.
const HEADER_BYTES = 5
const STREAMS = ['stdout', 'stderr'] as const
/** A block holds at least one whole piece. */
const BLOCK_BYTES = 2 * LIMITS.logChunkBytes + 2 * HEADER_BYTES

/** @param keep executions whose receipts wait for their acknowledgement; all other left-overs are removed */
export async function openSpools(dir: string, keep: ReadonlySet<string>): Promise<Spools> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  for (const name of await readdir(dir)) if (!keep.has(name)) await rm(join(dir, name), { force: true })
  const pathOf = (executionId: string) => join(dir, executionId)
  return {
    create: (executionId) => createSpool(pathOf(executionId)),
    reopen: async (executionId) => {
      const path = pathOf(executionId)
      const size = await stat(path).then(
        (found) => found.size,
        () => 0,
      )
      return finishedSpool(path, size)
    },
    remove: (executionId) => rm(pathOf(executionId), { force: true }),
  }
}

function createSpool(path: string): Spool {
  const hash = createHash('sha256')
  let file: Promise<FileHandle> | undefined
  let bytes = 0
  let fileBytes = 0
  let ended: Promise<{ sha256: string; bytes: number }> | undefined
  let progress = Promise.withResolvers<void>()

  const tell = () => {
    progress.resolve()
    progress = Promise.withResolvers<void>()
  }
  async function writePiece(stream: Piece['stream'], part: Uint8Array): Promise<void> {
    // Most runs of small tools print nothing; they need no file.
    file ??= open(path, 'wx', 0o600)
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt8(STREAMS.indexOf(stream), 0)
    header.writeUInt32BE(part.length, 1)
    await (await file).appendFile(Buffer.concat([header, part]))
    hash.update(part)
    bytes += part.length
    fileBytes += HEADER_BYTES + part.length
    tell()
  }

  async function finish(): Promise<{ sha256: string; bytes: number }> {
    await (await file)?.close()
    tell()
    return { sha256: hash.digest('hex'), bytes }
  }

  return {
    write: async ({ stream, bytes: all }) => {
      invariant(!ended, 'no output comes after the end')
      for (let at = 0; at < all.length; at += LIMITS.logChunkBytes)
        await writePiece(stream, all.subarray(at, at + LIMITS.logChunkBytes))
    },
    end: () => {
      ended ??= finish()
      return ended
    },
    hasMore: async (cursor, signal) => {
      while (cursor.position >= fileBytes && !ended && !signal.aborted)
        await untilEither(progress.promise, signal)
      return cursor.position < fileBytes && !signal.aborted
    },
    readBlock: (cursor) => readBlock(path, cursor),
  }
}

function finishedSpool(path: string, fileBytes: number): Spool {
  const over = () => Promise.reject(new InvariantViolation('a run of an earlier process is over'))
  return {
    write: over,
    end: over,
    hasMore: async (cursor, signal) => cursor.position < fileBytes && !signal.aborted,
    readBlock: (cursor) => readBlock(path, cursor),
  }
}

/** The signal is a connection's, which outlives any number of runs: nothing may stay on it. */
function untilEither(progress: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done, { once: true })
    void progress.then(done)
  })
}

async function readBlock(path: string, cursor: Cursor): Promise<{ pieces: Piece[]; next: Cursor }> {
  const block = Buffer.alloc(BLOCK_BYTES)
  const file = await open(path, 'r')
  try {
    const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, cursor.position)
    return splitBlock(block.subarray(0, bytesRead), cursor)
  } finally {
    await file.close()
  }
}

/** A piece that was cut off, by the block's end or by a crash, is left for the next block. */
function splitBlock(block: Buffer, cursor: Cursor): { pieces: Piece[]; next: Cursor } {
  const pieces: Piece[] = []
  let at = 0
  let { offset } = cursor
  while (at + HEADER_BYTES <= block.length) {
    const stream = STREAMS[block.readUInt8(at)]
    const length = block.readUInt32BE(at + 1)
    if (!stream || at + HEADER_BYTES + length > block.length) break
    pieces.push({ stream, offset, bytes: block.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length) })
    at += HEADER_BYTES + length
    offset += length
  }
  return { pieces, next: { position: cursor.position + at, offset } }
}
