import { Readable } from 'node:stream'
import * as api from '@orien/protocol'
import type { FastifyInstance } from 'fastify'
import { earningsCsv } from '../earnings/read.ts'
import type { SseMessage } from '../events/message.ts'
import { readLogs } from '../execution/logs.ts'
import { executionRow } from '../execution/read.ts'
import { sessionRow } from '../session/read.ts'
import { readLastEventId, readPart } from './input.ts'
import { authorise, type HttpParts } from './route.ts'
import { sendEvents, sendFeed } from './sse.ts'

async function* logMessages(
  parts: HttpParts,
  run: { executionId: string; sessionId: string },
  from: number,
  signal: AbortSignal,
): AsyncGenerator<SseMessage> {
  for await (const { stream, offset, data } of readLogs(parts.ctx, run, from, { follow: true, signal })) {
    const encoded = Buffer.from(data).toString('base64')
    const piece = { executionId: run.executionId, stream, offset, data: encoded }
    yield { id: String(offset + data.length), event: 'log', data: piece }
  }
  if (!signal.aborted) yield { event: api.END_TYPE, data: { executionId: run.executionId } }
}

async function* logText(
  parts: HttpParts,
  run: { executionId: string; sessionId: string },
): AsyncGenerator<Uint8Array> {
  const { signal } = new AbortController()
  for await (const chunk of readLogs(parts.ctx, run, 0, { follow: false, signal })) yield chunk.data
}

/** Server-sent events, output of runs and the statement as CSV. */
export function serveStreams(app: FastifyInstance, parts: HttpParts): void {
  app.get('/api/sessions/:id/events', async (request, reply) => {
    const caller = await authorise(parts, request)
    const { id } = readPart('params', api.getSession.params, request.params) as { id: string }
    await sessionRow(parts.ctx, caller, id)
    const after = readLastEventId(request.headers['last-event-id'])
    sendFeed(parts.ctx.feeds, reply, id, after)
  })
  app.get('/api/executions/:id/logs', async (request, reply) => {
    const caller = await authorise(parts, request)
    const { id } = readPart('params', api.getExecution.params, request.params) as { id: string }
    const { session } = await executionRow(parts.ctx, caller, id)
    const run = { executionId: id, sessionId: session.id }
    if (!request.headers.accept?.includes('text/event-stream')) {
      return reply.type('text/plain; charset=utf-8').send(Readable.from(logText(parts, run)))
    }
    const from = readLastEventId(request.headers['last-event-id'])
    return sendEvents(request, reply, (signal) => logMessages(parts, run, from, signal))
  })
  app.get('/api/earnings.csv', async (request, reply) => {
    const caller = await authorise(parts, request)
    return reply
      .type('text/csv; charset=utf-8')
      .header('content-disposition', 'attachment; filename="earnings.csv"')
      .send(Readable.from(earningsCsv(parts.ctx, caller)))
  })
}
