import type { SessionEventRecord } from '@orien/protocol'
import type { Bus, BusMessage } from './bus.ts'
import { encodeEphemeral, encodeEvent } from './message.ts'

/** Somebody who reads a session's stream. */
type Reader = {
  /** @returns false when it takes nothing more until it is `drained`; this chunk it has taken */
  write: (chunk: Uint8Array) => boolean
  /** The stream cannot go on; the reader will come back with the last number that it has seen. */
  fail: (error: unknown) => void
}

/** A reader's place in a session's stream. */
export type Following = { drained: () => void; stop: () => void }

/** Numbered events after a number, in order. */
export type ReadEvents = (sessionId: string, after: number, limit: number) => Promise<SessionEventRecord[]>

/** The streams of all sessions that somebody reads here. */
export type Feeds = {
  /**
   * Everything that happens in a session from `after` on. Numbered events come from the database, in order and once;
   * the bus only says that there are more.
   *
   * @param after the last sequence that the reader has seen; 0 for all
   */
  follow: (sessionId: string, after: number, reader: Reader) => Following
  readers: () => number
}

const PAGE = 200
/** Messages without a number that wait while numbered events are read; beyond it the oldest are dropped. */
const MAX_WAITING = 1_000

/**
 * `catching`: reads by itself what it has missed. `live`: is told with all others, from one read and one encoding.
 * `full`: takes nothing; costs no memory, since the database keeps its place.
 */
type Follower = {
  reader: Reader
  last: number
  state: 'catching' | 'live' | 'full' | 'gone'
  waiting: Uint8Array[]
}

function keep(waiting: Uint8Array[], chunk: Uint8Array): void {
  if (waiting.push(chunk) > MAX_WAITING) waiting.shift()
}

/** One session's stream in this process; it lives as long as somebody reads it. */
class Feed {
  readonly #read: (after: number) => Promise<SessionEventRecord[]>
  readonly #followers = new Set<Follower>()
  readonly #live = new Set<Follower>()
  readonly #unsubscribe: () => void
  #waiting: Uint8Array[] = []
  /** The highest sequence that any live follower was told, gone ones too, and whether there may be a higher one. */
  #last = 0
  #isBehind = false
  #isReading = false

  constructor(bus: Bus, read: ReadEvents, sessionId: string) {
    this.#read = (after) => read(sessionId, after, PAGE)
    // Subscribed before any read: what is committed in between is then announced, not missed.
    this.#unsubscribe = bus.subscribe(sessionId, (message) => this.#hear(message))
  }

  get size(): number {
    return this.#followers.size
  }

  follow(after: number, reader: Reader, onEmpty: () => void): Following {
    const follower: Follower = { reader, last: after, state: 'catching', waiting: [] }
    this.#followers.add(follower)
    void this.#catchUp(follower)
    return {
      drained: () => {
        if (follower.state === 'full') void this.#catchUp(follower)
      },
      stop: () => {
        this.#setState(follower, 'gone')
        if (!this.#followers.delete(follower) || this.#followers.size > 0) return
        this.#unsubscribe()
        onEmpty()
      },
    }
  }

  #hear(message: BusMessage): void {
    if (message.kind === 'event') {
      this.#hearEvent(message.sequence, message.record)
      return
    }
    const chunk = encodeEphemeral(message)
    for (const follower of this.#followers) if (follower.state === 'catching') keep(follower.waiting, chunk)
    // Output of a run must not overtake the event that tells of its start.
    if (this.#isReading) keep(this.#waiting, chunk)
    else for (const follower of this.#live) this.#give(follower, chunk)
  }

  #hearEvent(sequence: number, record: SessionEventRecord | undefined): void {
    if (record && this.#isNext(sequence)) {
      this.#tellAll([record])
      return
    }
    this.#isBehind = true
    void this.#pump()
  }

  /** Whether an event is the very next one for all who are live, and no read may bring it as well. */
  #isNext(sequence: number): boolean {
    return !this.#isReading && !this.#isBehind && this.#live.size > 0 && sequence === this.#last + 1
  }

  #setState(follower: Follower, state: Follower['state']): void {
    follower.state = state
    if (state === 'live') this.#live.add(follower)
    else this.#live.delete(follower)
  }

  #give(follower: Follower, chunk: Uint8Array): boolean {
    if (follower.reader.write(chunk)) return true
    this.#setState(follower, 'full')
    follower.waiting = []
    return false
  }

  /** However many events a follower is behind, it is told by one write, of bytes that all share. */
  #tellAll(page: readonly SessionEventRecord[]): void {
    const newest = page.at(-1)?.sequence
    if (newest === undefined) return
    this.#last = Math.max(this.#last, newest)
    const chunks = page.map(encodeEvent)
    const whole = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
    for (const follower of this.#live) {
      // Whoever caught up by itself may be ahead of the read that these events come from.
      const from = page.findIndex(({ sequence }) => sequence > follower.last)
      if (from === -1) continue
      follower.last = newest
      this.#give(follower, from === 0 ? whole : Buffer.concat(chunks.slice(from)))
    }
  }

  async #pump(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    try {
      while (this.#isBehind && this.#live.size > 0) {
        this.#isBehind = false
        const page = await this.#read(this.#last)
        // A full page may have more behind it; the bus may have spoken again while it was read.
        this.#isBehind ||= page.length === PAGE
        this.#tellAll(page)
      }
    } catch (error) {
      for (const follower of [...this.#live]) follower.reader.fail(error)
    } finally {
      this.#isReading = false
    }
    const chunks = this.#waiting
    this.#waiting = []
    for (const chunk of chunks) for (const follower of this.#live) this.#give(follower, chunk)
  }

  async #catchUp(follower: Follower): Promise<void> {
    this.#setState(follower, 'catching')
    try {
      for (;;) {
        const page = await this.#read(follower.last)
        if (follower.state !== 'catching') return
        for (const event of page) {
          follower.last = event.sequence
          if (!this.#give(follower, encodeEvent(event))) return
        }
        // Nobody else is told from here to `join`, so nothing falls between the two.
        if (page.length < PAGE && follower.last >= this.#last) return this.#join(follower)
      }
    } catch (error) {
      if (follower.state !== 'gone') follower.reader.fail(error)
    }
  }

  #join(follower: Follower): void {
    if (this.#live.size === 0) this.#last = Math.max(this.#last, follower.last)
    const chunks = follower.waiting
    follower.waiting = []
    this.#setState(follower, 'live')
    for (const chunk of chunks) if (!this.#give(follower, chunk)) return
    if (this.#isBehind) void this.#pump()
  }
}

export function createFeeds(bus: Bus, read: ReadEvents): Feeds {
  const feeds = new Map<string, Feed>()
  return {
    readers: () => {
      let count = 0
      for (const feed of feeds.values()) count += feed.size
      return count
    },
    follow: (sessionId, after, reader) => {
      const feed = feeds.get(sessionId) ?? new Feed(bus, read, sessionId)
      feeds.set(sessionId, feed)
      return feed.follow(after, reader, () => feeds.delete(sessionId))
    },
  }
}
