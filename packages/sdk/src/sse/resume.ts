import { ERRORS, OrienError } from '@orien/protocol'
import type { HttpClient } from '../http/client.ts'
import { pause } from '../http/retry.ts'
import { jitterMs } from '../random.ts'
import { parseSse, type SseMessage } from './parse.ts'

/** Broken connections in a row, with nothing new from any of them, before a reader gives up. */
const MAX_FRUITLESS = 10
const PAUSE_MS = 200
const MAX_PAUSE_MS = 5_000
/** The coordinator sends a comment at least every 15 s; a connection silent for longer is dead. */
const IDLE_MS = 45_000

/** A stream to read from some point on. */
export type ResumableStream = {
  http: HttpClient
  path: string
  /** The point from which the next connection has to go on. */
  lastEventId: () => string
  signal?: AbortSignal | undefined
}

function isFinal(error: unknown): boolean {
  return !(error instanceof OrienError) || !ERRORS[error.code].retryable
}

/**
 * The messages of a stream over as many connections as it takes. The reader moves `lastEventId` on, and stops reading
 * when it has all it wanted.
 *
 * @throws OrienError when the coordinator refuses, or after {@link MAX_FRUITLESS} connections without a message
 */
export async function* readResuming(
  stream: ResumableStream,
): AsyncGenerator<SseMessage | 'connected', void, undefined> {
  const { http, path, signal } = stream
  for (let fruitless = 0; ; ) {
    try {
      const headers = { accept: 'text/event-stream', 'last-event-id': stream.lastEventId() }
      const { pieces } = await http.open({ method: 'GET', path, headers, idleMs: IDLE_MS, signal })
      yield 'connected'
      for await (const message of parseSse(pieces)) {
        fruitless = 0
        yield message
      }
    } catch (error) {
      if (isFinal(error) || signal?.aborted || fruitless >= MAX_FRUITLESS) throw error
    }
    fruitless += 1
    if (fruitless > MAX_FRUITLESS) {
      throw new OrienError(
        'coordinator_unreachable',
        'the event stream ended again and again without a message',
      )
    }
    await pause(jitterMs(Math.min(PAUSE_MS * 2 ** fruitless, MAX_PAUSE_MS)), signal)
  }
}
