import { createHash, timingSafeEqual } from 'node:crypto'
import { LIMITS, OrienError, toProblem } from '@orien/protocol'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Random } from '../random.ts'
import type { NodeMetrics } from '../telemetry/metrics.ts'

/** What guards the loopback interface. */
export type ServerContext = {
  apiToken: string
  clock: Clock
  random: Random
  log: Log
  metrics: Pick<NodeMetrics, 'requests'>
}

const digest = (text: string) => createHash('sha256').update(text).digest()

/** Compares digests, so that the time taken tells nothing about the token, its length included. */
function isToken(header: string | undefined, expected: Uint8Array): boolean {
  return header !== undefined && timingSafeEqual(digest(header), expected)
}

function toOrienError(error: FastifyError | OrienError): OrienError {
  if (error instanceof OrienError) return error
  const { statusCode = 500 } = error as FastifyError
  if (statusCode === 413)
    return new OrienError('payload_too_large', undefined, { limitBytes: LIMITS.requestBodyBytes })
  if (statusCode === 415) return new OrienError('unsupported_media_type')
  if (statusCode < 500) return new OrienError('malformed_json')
  return new OrienError('internal_error', undefined, {}, { cause: error })
}

/** A server for this machine alone: every request carries the token, every error is a problem document. */
export function createServer(context: ServerContext): FastifyInstance {
  const { apiToken, random, log } = context
  const expected = digest(`Bearer ${apiToken}`)
  const app = Fastify({
    bodyLimit: LIMITS.requestBodyBytes,
    genReqId: () => `req_${Buffer.from(random.bytes(12)).toString('hex')}`,
    forceCloseConnections: true,
  })
  const codes = new WeakMap<FastifyRequest, string>()
  observe(app, codes, context)
  app.addHook('onRequest', async (request) => {
    if (!isToken(request.headers.authorization, expected))
      throw new OrienError('unauthorized', 'send the node’s API token as `Authorization: Bearer`')
  })
  app.setNotFoundHandler(() => {
    throw new OrienError('not_found', 'there is no such path')
  })
  app.setErrorHandler((error: FastifyError | OrienError, request, reply) => {
    const known = toOrienError(error)
    if (known.code === 'internal_error')
      log.error({ event: 'http.broken', requestId: request.id, err: error })
    const problem = toProblem(known, request.id)
    codes.set(request, known.code)
    return reply.code(problem.status).type('application/problem+json').send(problem)
  })
  return app
}

/** One line a request, however it ended; the route as it was declared, never the path that was asked for. */
function observe(
  app: FastifyInstance,
  codes: WeakMap<FastifyRequest, string>,
  { clock, log, metrics }: Pick<ServerContext, 'clock' | 'log' | 'metrics'>,
): void {
  app.addHook('onRequest', (request, reply, done) => {
    const startMs = clock.monotonicMs()
    reply.raw.once('close', () => {
      const isAnswered = reply.raw.writableFinished
      const status = reply.raw.statusCode
      const route = request.routeOptions.url ?? 'none'
      const method = METHODS.has(request.method) ? request.method : 'other'
      metrics.requests.inc({ route, method, class: isAnswered ? `${Math.floor(status / 100)}xx` : 'aborted' })
      const durationMs = Math.round((clock.monotonicMs() - startMs) * 10) / 10
      const code = codes.get(request)
      const told = { event: 'request', requestId: request.id, method, route, status, durationMs }
      log.info({ ...told, ...(code ? { code } : {}), ...(isAnswered ? {} : { isAborted: true }) })
    })
    done()
  })
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
