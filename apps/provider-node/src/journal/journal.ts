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

/** Where the journal lies in a data directory. */
export const JOURNAL_PATH = 'journal/journal.jsonl'

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
  const state = await readJournal(options.path)
  return new JournalFile(
    state,
    options,
    await replaceFile(options.path, snapshotText(state, options.nowMs())),
  )
}

/**
 * Reads a journal without opening it for writing.
 *
 * @throws OrienError `unreadable` for damage anywhere but in its last line
 */
export async function readJournal(path: string): Promise<JournalState> {
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

class JournalFile implements Journal {
  readonly state: JournalState
  readonly #options: JournalOptions
  #file: FileHandle
  #queue: Entry[] = []
  #grownBytes = 0
  #failed: OrienError | undefined
  #writing: Promise<void> | undefined

  constructor(state: JournalState, options: JournalOptions, file: FileHandle) {
    this.state = state
    this.#options = options
    this.#file = file
  }

  append(record: JournalRecord): Promise<void> {
    return this.#enqueue(record, false)
  }

  appendDurable(record: JournalRecord): Promise<void> {
    return this.#enqueue(record, true)
  }

  note(record: JournalRecord): void {
    // Not lost silently: a failure to write is told through onFailure.
    void this.#enqueue(record, false).catch(() => {})
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file.close()
  }

  #enqueue(record: JournalRecord, isDurable: boolean): Promise<void> {
    if (this.#failed) return Promise.reject(this.#failed)
    const kept = Promise.withResolvers<void>()
    applyRecord(this.state, record)
    this.#queue.push({ line: encodeRecord(record), isDurable, kept })
    this.#writing ??= this.#writeQueue()
    return kept.promise
  }

  async #writeQueue(): Promise<void> {
    // Deferred by a tick, so that records of one turn of the loop share one write.
    await Promise.resolve()
    // Everything that gathered during one write shares the next one and its sync.
    while (this.#queue.length > 0) {
      const batch = this.#queue
      this.#queue = []
      try {
        // A snapshot holds what the batch says already, and a record told twice would not replay.
        if (this.#grownBytes < NODE_LIMITS.journalGrowthBytes) await this.#write(batch)
        else await this.#compact()
        for (const { kept } of batch) kept.resolve()
      } catch (cause) {
        this.#fail(batch, cause)
      }
    }
    // In the same turn as the last look at the queue: what is enqueued from now on starts the next one.
    this.#writing = undefined
  }

  async #write(batch: readonly Entry[]): Promise<void> {
    const text = batch.map(({ line }) => line).join('')
    await this.#file.appendFile(text)
    this.#grownBytes += text.length
    if (batch.some(({ isDurable }) => isDurable)) await this.#file.datasync()
  }

  async #compact(): Promise<void> {
    const old = this.#file
    this.#file = await replaceFile(this.#options.path, snapshotText(this.state, this.#options.nowMs()))
    this.#grownBytes = 0
    await old.close()
  }

  #fail(batch: readonly Entry[], cause: unknown): void {
    this.#failed = new OrienError('internal_error', 'the journal cannot be written', {}, { cause })
    for (const { kept } of [...batch, ...this.#queue.splice(0)]) kept.reject(this.#failed)
    this.#options.onFailure(this.#failed)
  }
}
