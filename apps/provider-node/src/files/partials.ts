import { createHash, type Hash } from 'node:crypto'
import { OrienError } from '@orien/protocol'
import type { Clock } from '../clock.ts'
import { NODE_LIMITS, type Timing } from '../limits.ts'
import type { WorkspaceUpload } from '../run/workspaces.ts'

/** Which upload: the same file under the same name in the same session. */
export type UploadKey = { sessionId: string; name: string; sha256: string; bytes: number }

/** What has arrived of an upload: in the workspace under a hidden name, and in a running hash. */
export type Partial = {
  key: UploadKey | null
  upload: WorkspaceUpload
  hash: Hash
  receivedBytes: number
}

type Kept = {
  key: UploadKey
  /** Absent while the workspace is still making room for it. */
  partial?: Partial
  /** Present while a transfer feeds it. */
  holder?: { interrupt(): void; released: Promise<void>; release(): void }
  cancelExpiry(): void
}

const nameOf = ({ sessionId, name, sha256, bytes }: UploadKey): string =>
  JSON.stringify([sessionId, name, sha256, bytes])

/** An upload that cannot be continued, because nobody has said what it will be. */
export const newPartial = (key: UploadKey | null, upload: WorkspaceUpload): Partial => ({
  key,
  upload,
  hash: createHash('sha256'),
  receivedBytes: 0,
})

/**
 * Uploads that may be continued. One transfer at a time feeds each; a new one takes it over, because the one before may
 * hang on a connection that nobody has noticed to be dead.
 */
export class Partials {
  /** The longest parked comes first: a Map keeps its order, and parking puts to the end. */
  readonly #all = new Map<string, Kept>()
  readonly #clock: Clock
  readonly #keptMs: number

  constructor(clock: Clock, { uploadKeptMs }: Pick<Timing, 'uploadKeptMs'>) {
    this.#clock = clock
    this.#keptMs = uploadKeptMs
  }

  /**
   * @param interrupt how the next transfer makes this one let go
   * @throws OrienError `too_many_transfers`, and what opening throws
   */
  async take(key: UploadKey, open: () => Promise<WorkspaceUpload>, interrupt: () => void): Promise<Partial> {
    const name = nameOf(key)
    for (let found = this.#all.get(name); found?.holder; found = this.#all.get(name)) {
      found.holder.interrupt()
      await found.holder.released
    }
    const parked = this.#all.get(name)
    if (parked?.partial) {
      hold(parked, interrupt)
      return parked.partial
    }
    const kept: Kept = { key, cancelExpiry: () => {} }
    hold(kept, interrupt)
    this.#all.set(name, kept)
    try {
      await this.#makeRoom(kept)
      kept.partial = newPartial(key, await open())
      return kept.partial
    } catch (error) {
      this.#all.delete(name)
      release(kept)
      throw error
    }
  }

  /** Lets go of it; what has arrived waits to be continued. */
  park(partial: Partial): void {
    const kept = this.#keptOf(partial)
    if (!kept) return
    const name = nameOf(kept.key)
    this.#all.delete(name)
    this.#all.set(name, kept)
    release(kept)
    kept.cancelExpiry = this.#clock.after(this.#keptMs, () => void this.#remove(kept))
  }

  /** It is in its place. */
  finish(partial: Partial): void {
    const kept = this.#keptOf(partial)
    if (!kept) return
    this.#all.delete(nameOf(kept.key))
    release(kept)
  }

  async discard(partial: Partial): Promise<void> {
    const kept = this.#keptOf(partial)
    if (kept) await this.#remove(kept)
    else await partial.upload.abort()
  }

  receivedBytes(key: UploadKey): number {
    return this.#all.get(nameOf(key))?.partial?.receivedBytes ?? 0
  }

  async discardSession(sessionId: string): Promise<void> {
    for (const kept of [...this.#all.values()]) if (kept.key.sessionId === sessionId) await this.#remove(kept)
  }

  /** The hashes are in memory: nothing of it could be continued by another process. */
  async close(): Promise<void> {
    for (const kept of [...this.#all.values()]) await this.#remove(kept)
  }

  #keptOf({ key }: Partial): Kept | undefined {
    return key ? this.#all.get(nameOf(key)) : undefined
  }

  async #makeRoom(mine: Kept): Promise<void> {
    const all = [...this.#all.values()]
    const own = all.filter(({ key }) => key.sessionId === mine.key.sessionId)
    const crowd = own.length > NODE_LIMITS.sessionUploads ? own : all
    if (crowd === all && all.length <= NODE_LIMITS.uploads) return
    const oldest = crowd.find((kept) => !kept.holder)
    if (!oldest) throw new OrienError('too_many_transfers')
    await this.#remove(oldest)
  }

  async #remove(kept: Kept): Promise<void> {
    this.#all.delete(nameOf(kept.key))
    kept.cancelExpiry()
    release(kept)
    await kept.partial?.upload.abort()
  }
}

function hold(kept: Kept, interrupt: () => void): void {
  const { promise: released, resolve } = Promise.withResolvers<void>()
  kept.cancelExpiry()
  kept.holder = { interrupt, released, release: resolve }
}

function release(kept: Kept): void {
  kept.holder?.release()
  delete kept.holder
}
