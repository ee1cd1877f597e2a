import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { OrienError } from '@orien/protocol'
import { NODE_LIMITS } from '../limits.ts'
import { decodeRecord, encodeRecord, type JournalRecord } from './record.ts'
import { applyRecord, emptyState, type JournalState, snapshot } from './state.ts'

/** The node's memory: an append-only file of lines, and the state that they add up to. The state changes at once. */
export type Journal = {
  readonly state: JournalState
  /** Resolves once the line would survive the death of the process. */
  append(record: JournalRecord): Promise<void>
  /** Resolves once it would survive the loss of power, too. */
  appendDurable(record: JournalRecord): Promise<void>
  /** For records whose loss costs a repetition at most. */
  note(record: JournalRecord): void
  close(): Promise<void>
}

export type JournalOptions = {
  path: string
  nowMs(): number
  /** The file cannot be written any more: nothing that the node signs from now on would be remembered. */
  onFailure(error: unknown): void
}

const OPEN_FLAGS = constants.O_CREAT | constants.O_APPEND | constants.O_WRONLY
const FILE_MODE = 0o600

type Entry = { line: string; isDurable: boolean; kept: PromiseWithResolvers<void> }

/**
 * Opens a journal, replays it and rewrites it in its shortest form. A last line that was cut off by a crash is
 * dropped: whoever wrote it had not been told that it was kept.
 *
 * @throws OrienError `unreadable` for damage anywhere else
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  await mkdir(dirname(options.path), { recursive: true, mode: 0o700 })
  const state = await replay(options.path)
  return createJournal(state, options, await replaceFile(options.path, snapshotText(state, options.nowMs())))
}

async function replay(path: string): Promise<JournalState> {
  const state = emptyState()
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw new OrienError('unreadable', 'the journal cannot be read', {}, { cause: error })
  })
  const lines = text.split('\n')
  lines.forEach((line, index) => {
    if (line === '') return
    const record = decodeRecord(line)
    if (record) applyRecord(state, record)
    else if (index !== lines.length - 1)
      throw new OrienError('unreadable', `line ${index + 1} of the journal is damaged`)
  })
  return state
}

/** Whole before the first write, because the state goes on changing while it is written. */
function snapshotText(state: JournalState, nowMs: number): string {
  return [...snapshot(state, nowMs)].map(encodeRecord).join('')
}

/** Written beside and renamed over: a crash leaves the old file or the new one. */
async function replaceFile(path: string, text: string): Promise<FileHandle> {
  const next = `${path}.new`
  const file = await open(next, OPEN_FLAGS | constants.O_TRUNC, FILE_MODE)
  await file.appendFile(text)
  await file.sync()
  await rename(next, path)
  const directory = await open(dirname(path), constants.O_RDONLY)
  await directory.sync()
  await directory.close()
  return file
}

function createJournal(state: JournalState, options: JournalOptions, first: FileHandle): Journal {
  let file = first
  let queue: Entry[] = []
  let grownBytes = 0
  let failed: OrienError | undefined
  let writing: Promise<void> | undefined

  async function writeBatch(batch: readonly Entry[]): Promise<void> {
    const text = batch.map(({ line }) => line).join('')
    await file.appendFile(text)
    grownBytes += text.length
    if (batch.some(({ isDurable }) => isDurable)) await file.datasync()
  }

  async function compact(text: string): Promise<void> {
    const old = file
    file = await replaceFile(options.path, text)
    grownBytes = 0
    await old.close()
  }

  async function writeQueue(): Promise<void> {
    // Deferred by a tick, so that records of one turn of the loop share one write.
    await Promise.resolve()
    // Everything that gathered during one write shares the next one and its sync.
    while (queue.length > 0) {
      const batch = queue
      queue = []
      try {
        // A snapshot holds what the batch says already, and a record told twice would not replay.
        if (grownBytes < NODE_LIMITS.journalGrowthBytes) await writeBatch(batch)
        else await compact(snapshotText(state, options.nowMs()))
        for (const { kept } of batch) kept.resolve()
      } catch (cause) {
        failed = new OrienError('internal_error', 'the journal cannot be written', {}, { cause })
        for (const { kept } of [...batch, ...queue.splice(0)]) kept.reject(failed)
        options.onFailure(failed)
      }
    }
    // In the same turn as the last look at the queue: what is enqueued from now on starts the next one.
    writing = undefined
  }

  function enqueue(record: JournalRecord, isDurable: boolean): Promise<void> {
    if (failed) return Promise.reject(failed)
    const kept = Promise.withResolvers<void>()
    applyRecord(state, record)
    queue.push({ line: encodeRecord(record), isDurable, kept })
    writing ??= writeQueue()
    return kept.promise
  }

  return {
    state,
    append: (record) => enqueue(record, false),
    appendDurable: (record) => enqueue(record, true),
    // Not lost silently: a failure to write is told through onFailure.
    note: (record) => void enqueue(record, false).catch(() => {}),
    close: async () => {
      await writing
      await file.close()
    },
  }
}
