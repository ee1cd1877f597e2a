import { createHash, timingSafeEqual } from 'node:crypto'
import { LIMITS, OrienError, toProblem } from '@orien/protocol'
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import type { Log } from '../log.ts'
import type { Random } from '../random.ts'

/** What guards the loopback interface. */
export type ServerContext = { apiToken: string; random: Random; log: Log }

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
export function createServer({ apiToken, random, log }: ServerContext): FastifyInstance {
  const expected = digest(`Bearer ${apiToken}`)
  const app = Fastify({
    bodyLimit: LIMITS.requestBodyBytes,
    genReqId: () => `req_${Buffer.from(random.bytes(12)).toString('hex')}`,
    forceCloseConnections: true,
  })
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
    return reply.code(problem.status).type('application/problem+json').send(problem)
  })
  return app
}
