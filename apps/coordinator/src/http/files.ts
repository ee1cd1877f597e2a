import type { Readable } from 'node:stream'
import * as api from '@orien/protocol'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from '../context.ts'
import { type Download, downloadFile } from '../files/download.ts'
import { createGate, type Gate } from '../files/gate.ts'
import { readIncoming, readWanted, reprDigest } from '../files/headers.ts'
import { listFiles } from '../files/list.ts'
import { uploadFile } from '../files/upload.ts'
import type { NodeHub } from '../provider/nodes.ts'
import { openChannel, tryDeposit } from '../session/openChannel.ts'
import { sessionRow } from '../session/read.ts'
import type { SessionRow } from '../session/store.ts'
import { checkTexture, readPart } from './input.ts'
import { authorise, type HttpParts, serve } from './route.ts'

async function workspaceOf(parts: HttpParts, caller: Caller, id: string): Promise<SessionRow> {
  const session = await sessionRow(parts.ctx, caller, id)
  if (session.status === 'active') return session
  if (session.status === 'pending')
    throw new api.OrienError('session_not_active', 'A session has a workspace when it is started')
  throw new api.OrienError('workspace_gone')
}

function checkName(name: string): void {
  checkTexture(name, 'params.path')
  if (!api.isWorkspacePath(name)) throw new api.OrienError('workspace_path_refused')
}

function readTarget(request: FastifyRequest): { id: string; name: string } {
  const { '*': name, ...rest } = request.params as { id: string; '*': string }
  const { id } = readPart('params', api.getSession.params, rest) as { id: string }
  checkName(name)
  return { id, name }
}

/** Workspace files, carried over the node's own connection; nothing is stored here. */
export function serveFiles(app: FastifyInstance, parts: HttpParts, hub: NodeHub): void {
  const { clock } = parts.ctx
  const gate = createGate(clock)
  serve(app, parts, api.listFiles, async ({ params }, { caller }) => {
    const session = await workspaceOf(parts, caller, params.id)
    return { items: await listFiles({ hub, clock }, session) }
  })
  serve(app, parts, api.findUpload, async ({ params, query }, { caller }) => {
    const session = await workspaceOf(parts, caller, params.id)
    checkName(query.name)
    const { receivedBytes, isComplete } = await hub.ask(
      session.providerId,
      { type: 'fileFind', sessionId: params.id, ...query },
      'fileFound',
    )
    return { receivedBytes, isComplete }
  })
  app.register(async (scope) => {
    // Bytes are no JSON: this scope hands every body over as the stream it is.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    scope.put('/api/sessions/:id/files/*', { bodyLimit: api.LIMITS.fileBytes }, (request, reply) =>
      takeFile(parts, { hub, gate }, request, reply),
    )
    scope.get('/api/sessions/:id/files/*', async (request, reply) => {
      const caller = await authorise(parts, request)
      const { id, name } = readTarget(request)
      const wanted = readWanted(request.headers)
      await workspaceOf(parts, caller, id)
      const leave = await enter(gate, { sessionId: id, agentId: caller.agentId }, request)
      try {
        const session = await workspaceOf(parts, caller, id)
        const file = await downloadFile({ hub, clock }, session, { ...wanted, name })
        file.content.once('close', leave)
        // Gone while its node was asked: nobody would ever read or destroy it.
        if (request.raw.socket.destroyed) file.content.destroy()
        return describe(reply, file).send(file.content)
      } catch (error) {
        leave()
        throw error
      }
    })
  })
}

async function takeFile(
  parts: HttpParts,
  { hub, gate }: { hub: NodeHub; gate: Gate },
  request: FastifyRequest,
  reply: FastifyReply,
) {
  dropUnread(parts, request, reply)
  const caller = await authorise(parts, request)
  const { id, name } = readTarget(request)
  const incoming = readIncoming(request.headers)
  await workspaceOf(parts, caller, id)
  const leave = await enter(gate, { sessionId: id, agentId: caller.agentId }, request)
  try {
    // Once more: it may have waited for long.
    const session = await workspaceOf(parts, caller, id)
    const upload = { ...incoming, name, body: (request.body ?? request.raw) as Readable }
    const stored = await uploadFile({ hub, clock: parts.ctx.clock }, session, upload).catch(
      async (error: unknown) => {
        await fundIfPending(parts, session, error)
        throw error
      },
    )
    if (!stored.isWhole) return reply.code(202).send({ name, receivedBytes: stored.receivedBytes })
    const { sha256 } = stored
    return reply.header('x-content-sha256', sha256).send({ name, bytes: incoming.bytes, sha256 })
  } finally {
    leave()
  }
}

/** The deposit is relayed when something depends on it: here, what goes beyond the files that are free. */
async function fundIfPending({ ctx }: HttpParts, session: SessionRow, error: unknown): Promise<void> {
  const isPending = error instanceof api.OrienError && error.code === 'deposit_pending'
  if (!isPending || session.channelStatus !== 'none') return
  await tryDeposit(ctx, session)
  await openChannel(ctx, session.id)
}

function describe(reply: FastifyReply, { bytes, sha256, fromByte }: Download): FastifyReply {
  if (fromByte > 0) reply.code(206).header('content-range', `bytes ${fromByte}-${bytes - 1}/${bytes}`)
  return reply
    .type('application/octet-stream')
    .header('content-length', bytes - fromByte)
    .header('accept-ranges', 'bytes')
    .header('etag', `"${sha256}"`)
    .header('x-content-sha256', sha256)
    .header('repr-digest', reprDigest(sha256))
    .header('content-disposition', 'attachment')
}

/** A place at the gate; whoever hangs up while waiting for one makes room in the queue. */
async function enter(gate: Gate, visitor: Parameters<Gate['enter']>[0], request: FastifyRequest) {
  const { socket } = request.raw
  const gone = new AbortController()
  const abort = () => gone.abort()
  socket.once('close', abort)
  if (socket.destroyed) abort()
  try {
    return await gate.enter(visitor, gone.signal)
  } finally {
    socket.off('close', abort)
  }
}

/** What is still sent after a refusal is read away, so that the refusal is heard, but not for ever. */
function dropUnread({ ctx }: HttpParts, request: FastifyRequest, reply: FastifyReply): void {
  reply.raw.once('finish', () => {
    if (request.raw.complete) return
    request.raw.resume()
    const stopWatch = ctx.clock.after(api.LIMITS.transferIdleMs, () => request.raw.destroy())
    request.raw.once('close', stopWatch)
  })
}
