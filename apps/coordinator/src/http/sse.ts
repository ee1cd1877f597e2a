import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Feeds } from '../events/feed.ts'
import { encodeMessage, type SseMessage } from '../events/message.ts'
import { keepAlive } from './keepAlive.ts'

/** Bytes that wait in this process for a slow reader; beyond it the database keeps its place instead. */
const MAX_WAITING_BYTES = 65_536

const CONNECTED = Buffer.from(': connected\n\n')

/** Takes the response out of Fastify's hands and begins the stream. */
function beginStream(reply: FastifyReply): ServerResponse {
  const { raw } = reply
  reply.hijack()
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    // no-transform: a compressing proxy would hold messages back.
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    connection: 'keep-alive',
  })
  raw.write(CONNECTED)
  return raw
}

/**
 * Sends a stream until it ends or the client goes. A slow client holds the source back; nothing piles up here.
 *
 * @param open gets a signal that is aborted when the client has gone
 */
export async function sendEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  open: (signal: AbortSignal) => AsyncIterable<SseMessage>,
): Promise<void> {
  const gone = new AbortController()
  const raw = beginStream(reply)
  if (raw.destroyed) return
  const stop = keepAlive(raw)
  raw.on('close', () => {
    stop()
    gone.abort()
  })
  try {
    for await (const message of open(gone.signal)) {
      const isFlowing = raw.write(encodeMessage(message))
      if (!isFlowing && !gone.signal.aborted)
        await once(raw, 'drain', { signal: gone.signal }).catch(() => {})
    }
  } catch (error) {
    if (!gone.signal.aborted) request.log.error({ err: error, requestId: request.id }, 'event stream failed')
  } finally {
    raw.end()
  }
}

/**
 * Sends a session's stream until the client goes. Returns at once: what waits for an idle reader is its socket and its
 * place in the stream, not its request.
 */
export function sendFeed(feeds: Feeds, reply: FastifyReply, sessionId: string, after: number): void {
  const { log } = reply
  const raw = beginStream(reply)
  // Gone while it was being authorised: its `close` is over, so nobody would ever end the subscription.
  if (raw.destroyed) return
  const stop = keepAlive(raw)
  const following = feeds.follow(sessionId, after, {
    write: (chunk) => {
      if (raw.write(chunk) || raw.writableLength <= MAX_WAITING_BYTES) return true
      raw.once('drain', following.drained)
      return false
    },
    fail: (error) => {
      log.error({ err: error, sessionId }, 'event stream failed')
      raw.destroy()
    },
  })
  raw.on('close', () => {
    stop()
    following.stop()
  })
}
