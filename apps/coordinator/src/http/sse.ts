import { once } from 'node:events'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** One message of a server-sent stream. https://html.spec.whatwg.org/multipage/server-sent-events.html */
export type SseMessage = { id?: string; event: string; data: unknown }

/** A comment this often keeps proxies and clients from giving a silent stream up. */
const KEEP_ALIVE_MS = 15_000

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
  const { raw } = reply
  reply.hijack()
  raw.on('close', () => gone.abort())
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    // no-transform: a compressing proxy would hold messages back.
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    connection: 'keep-alive',
  })
  raw.write(': connected\n\n')
  const keepAlive = setInterval(() => raw.write(': alive\n\n'), KEEP_ALIVE_MS)
  try {
    for await (const message of open(gone.signal)) {
      const id = message.id === undefined ? '' : `id: ${message.id}\n`
      const isFlowing = raw.write(`${id}event: ${message.event}\ndata: ${JSON.stringify(message.data)}\n\n`)
      if (!isFlowing && !gone.signal.aborted)
        await once(raw, 'drain', { signal: gone.signal }).catch(() => {})
    }
  } catch (error) {
    if (!gone.signal.aborted) request.log.error({ err: error, requestId: request.id }, 'event stream failed')
  } finally {
    clearInterval(keepAlive)
    raw.end()
  }
}
