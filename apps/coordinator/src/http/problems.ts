import { InvariantViolation, OrienError, toProblem } from '@orien/protocol'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { databaseFailure } from '../db/failure.ts'
import { note } from './observe.ts'

/** Fastify's own refusals in our terms. https://fastify.dev/docs/latest/Reference/Errors/ */
function fromFastify(error: FastifyError): OrienError | null {
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new OrienError('payload_too_large')
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new OrienError('unsupported_media_type')
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new OrienError('validation_failed', 'Content-Length does not match the body')
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new OrienError('malformed_json')
    case 'FST_ERR_BAD_URL':
      return new OrienError('validation_failed', 'The path is not a valid URL')
    case 'FST_ERR_MAX_PARAM_LENGTH':
    case 'FST_ERR_PARAM_TOO_LONG':
      return new OrienError('not_found')
  }
  if (error.statusCode === 429) return new OrienError('rate_limited')
  if (error.statusCode === 400) return new OrienError('malformed_json')
  return null
}

function codedError(error: unknown): OrienError | null {
  if (error instanceof OrienError) return error
  if (error instanceof InvariantViolation) return null
  const lost = databaseFailure(error, 'unknown')
  if (lost instanceof OrienError) return lost
  return error instanceof Error && 'statusCode' in error ? fromFastify(error as FastifyError) : null
}

/** Answers every error as problem+json. What we did not foresee is logged whole and told as `internal_error`. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const coded = codedError(error)
  if (!coded) request.log.error({ err: error, requestId: request.id }, 'unforeseen error')
  note(request, { code: coded?.code ?? 'internal_error' })
  const problem = toProblem(coded ?? new OrienError('internal_error'), request.id)
  if (coded?.code === 'rate_limited' || problem.status === 503) reply.header('retry-after', '1')
  reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem))
}
