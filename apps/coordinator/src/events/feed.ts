import type { SessionEventRecord } from '@orien/protocol'
import type { Bus } from './bus.ts'
import { encodeEphemeral, encodeEvent } from './message.ts'

/** Somebody who reads a session's stream. */
export type Reader = {
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

type Feed = { follow: (after: number, reader: Reader) => Following; size: () => number }

function createFeed(bus: Bus, read: ReadEvents, sessionId: string, onEmpty: () => void): Feed {
  const followers = new Set<Follower>()
  const live = new Set<Follower>()
  let waiting: Uint8Array[] = []
  /** The highest sequence that any live follower was told, gone ones too, and whether there may be a higher one. */
  let last = 0
  let isBehind = false
  let isReading = false

  const setState = (follower: Follower, state: Follower['state']) => {
    follower.state = state
    if (state === 'live') live.add(follower)
    else live.delete(follower)
  }

  const give = (follower: Follower, chunk: Uint8Array) => {
    if (follower.reader.write(chunk)) return true
    setState(follower, 'full')
    follower.waiting = []
    return false
  }

  const tellAll = (event: SessionEventRecord) => {
    last = Math.max(last, event.sequence)
    const chunk = encodeEvent(event)
    for (const follower of live) {
      // Whoever caught up by itself may be ahead of the read that this event comes from.
      if (event.sequence <= follower.last) continue
      follower.last = event.sequence
      give(follower, chunk)
    }
  }

  const pump = async () => {
    if (isReading) return
    isReading = true
    try {
      while (isBehind && live.size > 0) {
        isBehind = false
        const page = await read(sessionId, last, PAGE)
        // A full page may have more behind it; the bus may have spoken again while it was read.
        isBehind ||= page.length === PAGE
        for (const event of page) tellAll(event)
      }
    } catch (error) {
      for (const follower of [...live]) follower.reader.fail(error)
    } finally {
      isReading = false
    }
    const chunks = waiting
    waiting = []
    for (const chunk of chunks) for (const follower of live) give(follower, chunk)
  }

  const join = (follower: Follower) => {
    if (live.size === 0) last = Math.max(last, follower.last)
    const chunks = follower.waiting
    follower.waiting = []
    setState(follower, 'live')
    for (const chunk of chunks) if (!give(follower, chunk)) return
    if (isBehind) void pump()
  }

  const catchUp = async (follower: Follower) => {
    setState(follower, 'catching')
    try {
      for (;;) {
        const page = await read(sessionId, follower.last, PAGE)
        if (follower.state !== 'catching') return
        for (const event of page) {
          follower.last = event.sequence
          if (!give(follower, encodeEvent(event))) return
        }
        // Nobody else is told from here to `join`, so nothing falls between the two.
        if (page.length < PAGE && follower.last >= last) return join(follower)
      }
    } catch (error) {
      if (follower.state !== 'gone') follower.reader.fail(error)
    }
  }

  // Subscribed before any read: what is committed in between is then announced, not missed.
  const unsubscribe = bus.subscribe(sessionId, (message) => {
    if (message.kind === 'event') {
      isBehind = true
      void pump()
      return
    }
    const chunk = encodeEphemeral(message)
    for (const follower of followers) if (follower.state === 'catching') keep(follower.waiting, chunk)
    // Output of a run must not overtake the event that tells of its start.
    if (isReading) keep(waiting, chunk)
    else for (const follower of live) give(follower, chunk)
  })

  return {
    size: () => followers.size,
    follow: (after, reader) => {
      const follower: Follower = { reader, last: after, state: 'catching', waiting: [] }
      followers.add(follower)
      void catchUp(follower)
      return {
        drained: () => {
          if (follower.state === 'full') void catchUp(follower)
        },
        stop: () => {
          setState(follower, 'gone')
          if (!followers.delete(follower) || followers.size > 0) return
          unsubscribe()
          onEmpty()
        },
      }
    },
  }
}

export function createFeeds(bus: Bus, read: ReadEvents): Feeds {
  const feeds = new Map<string, Feed>()
  return {
    readers: () => {
      let count = 0
      for (const feed of feeds.values()) count += feed.size()
      return count
    },
    follow: (sessionId, after, reader) => {
      const feed = feeds.get(sessionId) ?? createFeed(bus, read, sessionId, () => feeds.delete(sessionId))
      feeds.set(sessionId, feed)
      return feed.follow(after, reader)
    },
  }
}
