import { readTraceparent } from '@orien/protocol'
import type { OpenSpan } from '@orien/tracing'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'

/** What is known of a request besides its route and status. */
type Noted = { startMs: number; code?: string; agentId?: string; span?: OpenSpan }

const noted = new WeakMap<FastifyRequest, Noted>()

/** Remembers for the request's line why it was refused, or who asked. */
export function note(request: FastifyRequest, facts: Pick<Noted, 'code' | 'agentId'>): void {
  const known = noted.get(request)
  if (known) Object.assign(known, facts)
}

/** The request's place in its trace; undefined while nothing is traced. */
export function traceparentOf(request: FastifyRequest): string | undefined {
  return noted.get(request)?.span?.traceparent
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

type Observer = Pick<Context, 'clock' | 'log' | 'metrics' | 'tracing'>

/**
 * One line, one count and one span a request, however it ends: answered, refused before its route, or given up by the
 * client. Never a body, a header, a query or a path, only the route as it was declared.
 */
export function observe(app: FastifyInstance, ctx: Observer): void {
  app.addHook('onRequest', (request, reply, done) => {
    begin(ctx, request, reply)
    done()
  })
}

/** For requests that no hook sees: those whose address cannot even be read. */
export function observeUnrouted(ctx: Observer, request: FastifyRequest, reply: FastifyReply): void {
  if (!noted.has(request)) begin(ctx, request, reply)
}

function begin(ctx: Observer, request: FastifyRequest, reply: FastifyReply): void {
  const startMs = ctx.clock.monotonicMs()
  const facts: Noted = { startMs }
  noted.set(request, facts)
  if (ctx.tracing.isOn) {
    const parent = readTraceparent(request.headers.traceparent)
    facts.span = ctx.tracing.begin(nameOf(request), { startMs, parent, kind: 'server' })
  }
  reply.raw.once('close', () => end(ctx, request, reply, facts))
}

const routeOf = (request: FastifyRequest) => request.routeOptions?.url ?? 'none'
const nameOf = (request: FastifyRequest) => `${methodOf(request)} ${routeOf(request)}`
const methodOf = ({ method }: FastifyRequest) => (METHODS.has(method) ? method : 'other')

function end(
  { clock, log, metrics }: Observer,
  request: FastifyRequest,
  reply: FastifyReply,
  { startMs, span, code, agentId }: Noted,
): void {
  const endMs = clock.monotonicMs()
  const [route, method] = [routeOf(request), methodOf(request)]
  const isAnswered = reply.raw.writableFinished
  const status = reply.raw.statusCode
  const traceId = span?.traceparent?.slice(3, 35)
  metrics.requests.inc({ route, method, class: isAnswered ? `${Math.floor(status / 100)}xx` : 'aborted' })
  metrics.requestSeconds.observe({ route }, (endMs - startMs) / 1_000)
  if (code) metrics.refused(code)
  const durationMs = Math.round((endMs - startMs) * 10) / 10
  log.info({
    ...{ event: 'request', requestId: request.id, method, route, status, durationMs, code, agentId, traceId },
    ...(isAnswered ? {} : { isAborted: true }),
  })
  span?.end({ endMs, facts: { route, status, ...(code ? { code } : {}) }, isError: status >= 500 })
}
