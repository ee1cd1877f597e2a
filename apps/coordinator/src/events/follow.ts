import type { SessionEventRecord } from '@orien/protocol'
import type { Executor } from '../db/executor.ts'
import type { Bus, BusMessage } from './bus.ts'
import { selectEventsAfter } from './store.ts'

/** What a follower of a session receives: numbered events, and live messages that may be missed. */
export type Followed = { kind: 'event'; event: SessionEventRecord } | Exclude<BusMessage, { kind: 'event' }>

const PAGE = 200
/** Live messages that wait for a slow reader; beyond it the oldest are dropped. */
const MAX_WAITING = 1_000

/**
 * Everything that happens in a session from `after` on. Numbered events always come from the database, in order and
 * once; the bus only says that there are more.
 *
 * @param after the last sequence that the reader has seen; 0 for all
 */
export async function* followSession(
  db: Executor,
  bus: Bus,
  sessionId: string,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<Followed> {
  const live: Exclude<BusMessage, { kind: 'event' }>[] = []
  // A first read is always due; afterwards only when the bus says so.
  let isBehind = true
  let wake = () => {}
  // Subscribed before the first read: what is committed in between is then announced, not missed.
  const unsubscribe = bus.subscribe(sessionId, (message) => {
    if (message.kind === 'event') isBehind = true
    else if (live.push(message) > MAX_WAITING) live.shift()
    wake()
  })
  const onAbort = () => wake()
  signal.addEventListener('abort', onAbort)
  let last = after
  try {
    while (!signal.aborted) {
      if (isBehind) {
        isBehind = false
        const page = await selectEventsAfter(db, sessionId, last, PAGE)
        // A full page may have more behind it; the bus may have spoken again while it was read.
        isBehind ||= page.length === PAGE
        for (const event of page) {
          last = event.sequence
          yield { kind: 'event', event }
        }
        continue
      }
      const message = live.shift()
      if (message) {
        yield message
        continue
      }
      await new Promise<void>((resolve) => {
        wake = resolve
        if (signal.aborted || live.length > 0 || isBehind) resolve()
      })
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    unsubscribe()
  }
}
