import { type Operation, type OperationInput, type OperationOutput, OrienError } from '@orien/protocol'
import type { FastifyInstance, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { z } from 'zod'
import type { Authenticator } from '../access/authenticate.ts'
import { once } from '../access/once.ts'
import type { Caller, Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { readIdempotencyKey, readPart } from './input.ts'
import { note } from './observe.ts'

/** Whom and what a verb is called for, besides its input. */
export type Call = { caller: Caller; request: FastifyRequest; idempotencyKey: string | undefined }

/** What HTTP needs of the process. */
export type HttpParts = { ctx: Context; authenticator: Authenticator }

/** Reads a request by its operation. */
function readInput<Op extends Operation>(op: Op, request: FastifyRequest): OperationInput<Op> {
  return {
    params: readPart('params', op.params, request.params),
    query: readPart('query', op.query, request.query),
    body: readPart('body', op.body, request.body),
  } as OperationInput<Op>
}

/**
 * @throws OrienError `unauthorized`, or `forbidden` for a key that may only read
 */
export async function authorise({ authenticator }: HttpParts, request: FastifyRequest): Promise<Caller> {
  const caller = await authenticator.authenticate(request.headers.authorization)
  note(request, { agentId: caller.agentId })
  if (request.method !== 'GET' && !caller.scopes.includes('spend')) {
    throw new OrienError('forbidden', 'This key may only read')
  }
  return caller
}

const NOBODY = null as unknown as Caller

function route<Op extends Operation>(
  app: FastifyInstance,
  parts: HttpParts,
  op: Op,
  answer: (input: OperationInput<Op>, call: Call) => Promise<unknown>,
): void {
  const handler: RouteHandlerMethod = async (request, reply) => {
    const isOpen = op.actor === 'public' || op.actor === 'signature'
    const caller = isOpen ? NOBODY : await authorise(parts, request)
    const input = readInput(op, request)
    const idempotencyKey = op.idempotent ? readIdempotencyKey(request.headers['idempotency-key']) : undefined
    reply.code(op.status)
    const wire = await answer(input, { caller, request, idempotencyKey })
    return reply.type('application/json; charset=utf-8').send(JSON.stringify(wire))
  }
  app.route({ method: op.method, url: op.path, handler })
}

/** Serves an operation by a verb that opens its own transaction, or none. */
export function serve<Op extends Operation>(
  app: FastifyInstance,
  parts: HttpParts,
  op: Op,
  verb: (input: OperationInput<Op>, call: Call) => Promise<OperationOutput<Op>>,
): void {
  route(app, parts, op, async (input, call) => z.encode(op.output, (await verb(input, call)) as never))
}

/**
 * Serves a mutation whose verb writes in the transaction that also keeps its Idempotency-Key.
 *
 * @param unkeyed takes requests that carry no key and need none, outside of any transaction; undefined for the others
 */
export function serveOnce<Op extends Operation>(
  app: FastifyInstance,
  parts: HttpParts,
  op: Op,
  verb: (unit: Unit, input: OperationInput<Op>, call: Call) => Promise<OperationOutput<Op>>,
  unkeyed?: (input: OperationInput<Op>, call: Call) => Promise<OperationOutput<Op>> | undefined,
): void {
  route(app, parts, op, async (input, call) => {
    const done = call.idempotencyKey === undefined ? unkeyed?.(input, call) : undefined
    if (done) return z.encode(op.output, (await done) as never)
    const { params, body } = call.request
    const request = {
      actor: call.caller.agentId,
      key: call.idempotencyKey,
      operation: op.id,
      body: { params, body: body ?? null },
    }
    return once(parts.ctx, request, async (unit) =>
      z.encode(op.output, (await verb(unit, input, call)) as never),
    )
  })
}
