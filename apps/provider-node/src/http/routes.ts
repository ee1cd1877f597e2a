import { Readable } from 'node:stream'
import {
  argumentsJsonSchema,
  type IsolationClass,
  OrienError,
  sessionId as sessionIdSchema,
  toolId,
} from '@orien/protocol'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { ToolSet } from '../manifest/tools.ts'
import type { Spool } from '../output/spool.ts'
import { START } from '../output/spool.ts'
import type { History } from '../run/history.ts'
import type { Workspaces } from '../run/workspaces.ts'
import type { NodeMetrics } from '../telemetry/metrics.ts'
import { type OwnerCalls, serveOwner } from './ownerRoutes.ts'
import { parse } from './parse.ts'
import type { Standalone } from './standalone.ts'

/** What the interface shows and does. */
export type RoutesContext = {
  health(): Record<string, unknown>
  metrics: Pick<NodeMetrics, 'page' | 'requests'>
  tools: ToolSet
  /** The class that tools run in here, as in the offer and in every receipt. */
  isolation: IsolationClass
  history: History
  workspaces: Workspaces
  /** Present in stand-alone mode only: without a coordinator nobody pays. */
  standalone?: Standalone
  /** Absent in stand-alone mode: there is nobody to have rules about. */
  owner?: OwnerCalls
}

const executeBody = z.strictObject({
  sessionId: sessionIdSchema.optional(),
  tool: toolId,
  args: z.record(z.string(), z.unknown()).default({}),
})

export function serveRoutes(app: FastifyInstance, context: RoutesContext): void {
  const { history, tools, workspaces, standalone } = context
  const recordOf = (params: unknown) => {
    const { id } = params as { id: string }
    const record = history.get(id)
    if (!record) throw new OrienError('not_found', 'there is no such execution')
    return record
  }
  if (context.owner) serveOwner(app, context.owner)
  app.get('/health', async () => context.health())
  app.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await context.metrics.page()
    return reply.type(contentType).send(text)
  })
  app.get('/tools', async () => ({
    isolation: context.isolation,
    items: [...tools.values()].map(({ published, hash }) => ({
      ...published,
      manifestHash: hash,
      inputSchema: argumentsJsonSchema(published.arguments),
    })),
  }))
  app.post('/execute', async (request, reply) => {
    if (!standalone)
      throw new OrienError('forbidden', 'work comes from the coordinator; `--standalone` allows it here')
    const record = standalone.execute(parse(executeBody, request.body))
    return reply.code(202).send(record)
  })
  app.get('/executions/:id', async (request) => recordOf(request.params))
  app.get('/executions/:id/logs', async (request, reply) => {
    const spool = standalone?.outputOf(recordOf(request.params).id)
    if (!spool) throw new OrienError('not_found', 'the output of paid work is the agent’s')
    const closed = new AbortController()
    reply.raw.once('close', () => closed.abort())
    return reply.type('application/octet-stream').send(Readable.from(followOutput(spool, closed.signal)))
  })
  app.delete('/sessions/:id/workspace', async (request, reply) => {
    const { id } = parse(z.object({ id: sessionIdSchema }), request.params)
    await standalone?.stopSession(id)
    await workspaces.destroy(id)
    return reply.code(204).send()
  })
}

/** Output as it comes, until the run's end. */
async function* followOutput(spool: Spool, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let cursor = START
  while (await spool.hasMore(cursor, signal)) {
    const { pieces, next } = await spool.readBlock(cursor)
    if (pieces.length === 0) return
    for (const { bytes } of pieces) yield bytes
    cursor = next
  }
}
