import { createHash } from 'node:crypto'
import { PassThrough, type Readable } from 'node:stream'
import * as api from '@orien/protocol'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Caller } from '../context.ts'
import { failureOf, type NodeHub } from '../provider/nodes.ts'
import { sessionRow } from '../session/read.ts'
import type { SessionRow } from '../session/store.ts'
import { checkTexture, readPart } from './input.ts'
import { authorise, type HttpParts, serve } from './route.ts'

const CHUNK_BYTES = api.LIMITS.logChunkBytes
/** Chunks a sender may have under way before it hears from the other side. */
const WINDOW_CHUNKS = 16
const ANSWER_MS = 30_000

async function workspaceOf(parts: HttpParts, caller: Caller, id: string): Promise<SessionRow> {
  const session = await sessionRow(parts.ctx, caller, id)
  const isThere = session.status === 'active' || session.status === 'ending' || session.status === 'completed'
  if (!isThere)
    throw new api.OrienError('session_not_active', `A session that is ${session.status} has no workspace`)
  return session
}

function readTarget(request: FastifyRequest): { id: string; name: string } {
  const { '*': name, ...rest } = request.params as { id: string; '*': string }
  const { id } = readPart('params', api.getSession.params, rest) as { id: string }
  checkTexture(name, 'params.path')
  if (!api.isWorkspacePath(name)) throw new api.OrienError('workspace_path_refused')
  return { id, name }
}

/** Workspace files, carried over the node's own connection; nothing is stored here. */
export function serveFiles(app: FastifyInstance, parts: HttpParts, hub: NodeHub): void {
  serve(app, parts, api.listFiles, async ({ params }, { caller }) => {
    const session = await workspaceOf(parts, caller, params.id)
    const { items } = await hub.ask(session.providerId, { type: 'fileList', sessionId: params.id }, 'files')
    return { items: items.slice(0, api.LIMITS.filesListed) }
  })
  app.register(async (scope) => {
    // Bytes are no JSON: this scope hands every body over as the stream it is.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    scope.put('/api/sessions/:id/files/*', { bodyLimit: api.LIMITS.fileBytes }, async (request, reply) => {
      const caller = await authorise(parts, request)
      const { id, name } = readTarget(request)
      const bytes = Number(request.headers['content-length'] ?? Number.NaN)
      if (!Number.isSafeInteger(bytes)) throw new api.OrienError('length_required')
      if (bytes > api.LIMITS.fileBytes) {
        throw new api.OrienError('payload_too_large', undefined, { limitBytes: api.LIMITS.fileBytes })
      }
      const session = await workspaceOf(parts, caller, id)
      const body = (request.body ?? request.raw) as Readable
      const written = await writeFile(hub, session, { name, bytes, body, expected: digestHeader(request) })
      return reply.header('x-content-sha256', written.sha256).send({ name, ...written })
    })
    scope.get('/api/sessions/:id/files/*', async (request, reply) => {
      const caller = await authorise(parts, request)
      const { id, name } = readTarget(request)
      const session = await workspaceOf(parts, caller, id)
      const file = await readFile(hub, session, name)
      return reply
        .type('application/octet-stream')
        .header('content-length', file.bytes)
        .header('x-content-sha256', file.sha256)
        .header('content-disposition', 'attachment')
        .send(file.content)
    })
  })
}

function digestHeader(request: FastifyRequest): string | undefined {
  const header = request.headers['x-content-sha256']
  if (header === undefined) return undefined
  if (typeof header === 'string' && /^[0-9a-f]{64}$/.test(header)) return header
  throw new api.OrienError('validation_failed', 'x-content-sha256 must be a SHA-256 in lower-case hex')
}

type Upload = { name: string; bytes: number; body: Readable; expected: string | undefined }

/** Sends a file to its node, at most a window of chunks ahead of what the node has written. */
function writeFile(
  hub: NodeHub,
  session: SessionRow,
  upload: Upload,
): Promise<{ bytes: number; sha256: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ bytes: number; sha256: string }>()
  let credit = WINDOW_CHUNKS
  let onCredit = () => {}
  let isDone = false
  const finish = (act: () => void) => {
    if (isDone) return
    isDone = true
    clearTimeout(timer)
    exchange.end()
    onCredit()
    act()
  }
  const fail = (error: Error) =>
    finish(() => {
      exchange.send({ type: 'fileAbort', requestId: exchange.requestId })
      upload.body.destroy()
      reject(error)
    })
  const exchange = hub.openExchange(session.providerId, (message) => {
    timer.refresh()
    if (message.type === 'fileCredit') {
      credit += message.chunks
      onCredit()
    } else if (message.type === 'fileEnd') {
      finish(() => resolve({ bytes: message.bytes, sha256: message.sha256 }))
    } else if (message.type === 'failure') fail(failureOf(message))
  })
  const timer = setTimeout(() => fail(new api.OrienError('node_unreachable')), ANSWER_MS)
  const { requestId } = exchange
  const send = async () => {
    const sessionId = session.id as api.Id<'session'>
    exchange.send({ type: 'fileWrite', requestId, sessionId, name: upload.name, bytes: upload.bytes })
    const hash = createHash('sha256')
    for await (const piece of upload.body) {
      const data = piece as Buffer
      for (let at = 0; at < data.length; at += CHUNK_BYTES) {
        while (credit === 0 && !isDone) await new Promise<void>((wake) => (onCredit = wake))
        if (isDone) return
        const chunk = data.subarray(at, at + CHUNK_BYTES)
        hash.update(chunk)
        credit -= 1
        timer.refresh()
        exchange.send({ type: 'fileChunk', requestId, data: chunk.toString('base64') })
      }
    }
    const sha256 = hash.digest('hex')
    if (upload.expected !== undefined && upload.expected !== sha256)
      return fail(new api.OrienError('digest_mismatch'))
    exchange.send({ type: 'fileEnd', requestId, sha256 })
  }
  send().catch((error: unknown) =>
    fail(error instanceof api.OrienError ? error : new api.OrienError('timed_out', 'The upload was cut off')),
  )
  return promise
}

/** Reads a file from its node; the reader's pace is passed on as credit. */
function readFile(hub: NodeHub, session: SessionRow, name: string) {
  const { promise, resolve, reject } = Promise.withResolvers<{
    bytes: number
    sha256: string
    content: Readable
  }>()
  const content = new PassThrough({ highWaterMark: WINDOW_CHUNKS * CHUNK_BYTES })
  let isOpened = false
  const fail = (error: Error) => {
    clearTimeout(timer)
    exchange.end()
    if (isOpened) content.destroy(error)
    else reject(error)
  }
  const exchange = hub.openExchange(session.providerId, (message) => {
    timer.refresh()
    switch (message.type) {
      case 'fileOpened':
        isOpened = true
        resolve({ bytes: message.bytes, sha256: message.sha256, content })
        return
      case 'fileChunk':
        // Credit is given when the piece has been taken, so a slow reader holds its node back.
        content.write(Buffer.from(message.data, 'base64'), () => {
          if (!content.destroyed)
            exchange.send({ type: 'fileCredit', requestId: exchange.requestId, chunks: 1 })
        })
        return
      case 'fileEnd':
        clearTimeout(timer)
        exchange.end()
        content.end()
        return
      case 'failure':
        fail(failureOf(message))
    }
  })
  const timer = setTimeout(() => fail(new api.OrienError('node_unreachable')), ANSWER_MS)
  content.once('close', () => {
    clearTimeout(timer)
    if (!content.readableEnded) exchange.send({ type: 'fileAbort', requestId: exchange.requestId })
    exchange.end()
  })
  exchange.send({
    type: 'fileRead',
    requestId: exchange.requestId,
    sessionId: session.id as api.Id<'session'>,
    name,
  })
  return promise
}
