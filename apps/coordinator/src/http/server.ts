import rateLimit from '@fastify/rate-limit'
import { LIMITS, NODE_SOCKET_PATH, OPERATIONS, OrienError, STREAMS } from '@orien/protocol'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { type WebSocket, WebSocketServer } from 'ws'
import type { NodeHub } from '../provider/nodes.ts'
import { serveFiles } from './files.ts'
import { observe, observeUnrouted } from './observe.ts'
import {
  type Batches,
  serveAccess,
  serveEnrolments,
  serveExecutions,
  serveMoney,
  serveProviders,
  serveSessions,
} from './operations.ts'
import { sendProblem } from './problems.ts'
import type { HttpParts } from './route.ts'
import { serveStreams } from './streams.ts'
import { type Faucet, serveSystem } from './system.ts'

/** A node's largest message: a chunk of a file in base64, or a receipt. */
const NODE_MESSAGE_BYTES = 1_048_576

/** Takes over the WebSocket of a node, and the name that it asked for. */
type OnNode = (socket: WebSocket, host: string | undefined) => void

export type ServerParts = HttpParts & {
  batches: Batches
  hub: NodeHub
  faucet: Faucet | null
  onNode: OnNode
}

/** All of HTTP: routes from the operations table, the streams beside it, and the nodes' WebSocket. */
export async function createServer(parts: ServerParts): Promise<FastifyInstance> {
  const { ctx } = parts
  const app = Fastify({
    loggerInstance: ctx.log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => ctx.random.id('request'),
    bodyLimit: LIMITS.requestBodyBytes,
    requestTimeout: 0,
    connectionTimeout: 0,
    keepAliveTimeout: 75_000,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 1_024 },
    frameworkErrors: (error, request, reply) => {
      observeUnrouted(ctx, request, reply)
      sendProblem(error, request, reply)
    },
  })
  readJson(app)
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply))
  app.setNotFoundHandler((request, reply) =>
    sendProblem(missing(request.method, request.url), request, reply),
  )
  observe(app, ctx)
  await app.register(rateLimit, {
    max: ctx.config.requestsPerMinute,
    timeWindow: 60_000,
    errorResponseBuilder: () => new OrienError('rate_limited'),
  })
  serveAccess(app, parts)
  serveProviders(app, parts)
  serveEnrolments(app, parts)
  serveSessions(app, parts, parts.batches)
  serveExecutions(app, parts, parts.batches)
  serveMoney(app, parts, parts.batches)
  serveStreams(app, parts)
  serveFiles(app, parts, parts.hub)
  serveSystem(app, parts, parts.faucet)
  acceptNodes(app, parts.onNode)
  return app
}

/** Strict UTF-8 and JSON; an absent body is undefined rather than an error, since DELETE often says it has JSON. */
function readJson(app: FastifyInstance): void {
  app.removeContentTypeParser(['application/json', 'text/plain'])
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    if (body.length === 0) return done(null, undefined)
    try {
      done(null, JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body as Buffer)))
    } catch {
      done(new OrienError('malformed_json'))
    }
  })
}

const PATTERNS = [...OPERATIONS, ...STREAMS].map(({ path, method }) => {
  const pattern = path.replace(':path', '.+').replaceAll(/:\w+/g, '[^/]+')
  return { method: method as string, pattern: new RegExp(`^${pattern}$`) }
})

/** Tells a wrong method from a wrong path. */
function missing(method: string, url: string): OrienError {
  const path = url.split('?')[0] ?? ''
  const allowed = PATTERNS.filter(({ pattern }) => pattern.test(path)).map((row) => row.method)
  if (allowed.length === 0 || allowed.includes(method))
    return new OrienError('not_found', 'There is nothing at this path')
  return new OrienError('method_not_allowed', undefined, { allowed })
}

function acceptNodes(app: FastifyInstance, onNode: OnNode): void {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: NODE_MESSAGE_BYTES,
    perMessageDeflate: false,
  })
  app.server.on('upgrade', (request, socket, head) => {
    if (request.url?.split('?')[0] !== NODE_SOCKET_PATH) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n')
      return
    }
    sockets.handleUpgrade(request, socket, head, (node) => onNode(node, request.headers.host))
  })
  app.addHook('preClose', async () => {
    for (const client of sockets.clients) client.terminate()
    sockets.close()
  })
}
