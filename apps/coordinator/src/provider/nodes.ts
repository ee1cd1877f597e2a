import {
  assertNever,
  type ErrorCode,
  type FromNode,
  fromNode,
  isErrorCode,
  LIMITS,
  OrienError,
  type ToNode,
  toNode,
} from '@orien/protocol'
import type { WebSocket } from 'ws'
import { z } from 'zod'
import type { Context, NodeRequest, Nodes } from '../context.ts'
import { admitNode } from './connect.ts'

type Hello = Extract<FromNode, { type: 'hello' }>

/** What the rest of the coordinator does with what nodes say. */
export type NodeHandlers = {
  onConnected: (providerId: string, hello: Hello) => Promise<void>
  onMessage: (providerId: string, message: FromNode) => Promise<void>
}

/** Live node connections of this process. */
export type NodeHub = Nodes & {
  /** Takes over a fresh WebSocket: challenge, admission, then messages until it closes. */
  attach: (ctx: Context, socket: WebSocket, handlers: NodeHandlers) => void
  /** A channel of raw messages with one request number, for files. */
  openExchange: (providerId: string, onMessage: (message: FromNode) => void) => Exchange
  close: () => void
}

/** A numbered conversation with a node. */
export type Exchange = { requestId: number; send: (message: ToNode) => void; end: () => void }

/** How long a node may take to answer a question. */
const ANSWER_MS = 10_000
/** How long a node may take to say hello. */
const HELLO_MS = 10_000
/** Silence after which a connection counts as dead. */
const SILENCE_MS = LIMITS.heartbeatTimeoutMs
/** Messages of one node that wait for their handler; beyond it the socket is not read. */
const MAX_PENDING = 256

type Connection = { socket: WebSocket; exchanges: Map<number, (message: FromNode | null) => void> }

const isAnswer = (message: FromNode): message is Extract<FromNode, { requestId: number }> =>
  'requestId' in message

export function createNodeHub(): NodeHub {
  const connections = new Map<string, Connection>()
  let lastRequest = 0
  const sendTo = (connection: Connection, message: ToNode) =>
    connection.socket.send(JSON.stringify(z.encode(toNode, message)))
  const requireConnection = (providerId: string): Connection => {
    const connection = connections.get(providerId)
    if (!connection) throw new OrienError('provider_offline', 'The provider’s node is not connected')
    return connection
  }
  const openExchange: NodeHub['openExchange'] = (providerId, onMessage) => {
    const connection = requireConnection(providerId)
    lastRequest += 1
    const requestId = lastRequest
    const gone: FromNode = {
      type: 'failure',
      requestId,
      code: 'provider_offline',
      detail: 'The node went away',
    }
    connection.exchanges.set(requestId, (message) => onMessage(message ?? gone))
    return {
      requestId,
      send: (message) => sendTo(connection, message),
      end: () => void connection.exchanges.delete(requestId),
    }
  }
  return {
    isOnline: (providerId) => connections.has(providerId),
    online: () => [...connections.keys()],
    send: (providerId, message) => {
      const connection = connections.get(providerId)
      if (connection) sendTo(connection, message)
      return connection !== undefined
    },
    openExchange,
    ask: (providerId, request, answer) => askNode(openExchange, providerId, request, answer),
    attach: (ctx, socket, handlers) => attachSocket(ctx, socket, handlers, connections),
    close: () => {
      for (const { socket } of connections.values()) socket.close(1001)
    },
  }
}

function askNode<T extends FromNode['type']>(
  openExchange: NodeHub['openExchange'],
  providerId: string,
  request: NodeRequest,
  answer: T,
): Promise<Extract<FromNode, { type: T }>> {
  return new Promise((resolve, reject) => {
    const finish = (act: () => void) => {
      clearTimeout(timer)
      exchange.end()
      act()
    }
    const exchange = openExchange(providerId, (message) => {
      if (message.type === answer) finish(() => resolve(message as Extract<FromNode, { type: T }>))
      else if (message.type === 'failure') finish(() => reject(failureOf(message)))
    })
    const timer = setTimeout(() => finish(() => reject(new OrienError('node_unreachable'))), ANSWER_MS)
    exchange.send({ ...request, requestId: exchange.requestId })
  })
}

/** A node's refusal in our own terms; a code that we do not know is not passed on. */
export function failureOf(message: Extract<FromNode, { type: 'failure' }>): OrienError {
  const code: ErrorCode = isErrorCode(message.code) ? message.code : 'node_unreachable'
  return new OrienError(code, message.detail.slice(0, 300))
}

function readMessage(data: unknown): FromNode | null {
  try {
    const parsed = fromNode.safeDecode(JSON.parse(String(data)) as z.input<typeof fromNode>)
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

function attachSocket(
  ctx: Context,
  socket: WebSocket,
  handlers: NodeHandlers,
  connections: Map<string, Connection>,
): void {
  const nonce = Buffer.from(ctx.random.bytes(24)).toString('base64url')
  const connection: Connection = { socket, exchanges: new Map() }
  let providerId: string | null = null
  let pending = 0
  let chain = Promise.resolve()
  let silence = setTimeout(() => socket.terminate(), HELLO_MS)

  const handle = async (message: FromNode): Promise<void> => {
    if (providerId !== null) return handlers.onMessage(providerId, message)
    if (message.type !== 'hello') throw new OrienError('unauthorized', 'The first message is hello')
    const provider = await admitNode(ctx, nonce, message)
    if (connections.has(provider.id)) throw new OrienError('duplicate_node')
    if (socket.readyState !== socket.OPEN) return
    providerId = provider.id
    connections.set(provider.id, connection)
    const welcome = {
      type: 'welcome' as const,
      providerId: provider.id as Extract<ToNode, { type: 'welcome' }>['providerId'],
      serverTime: ctx.clock.now().toISOString(),
      heartbeatEveryMs: LIMITS.heartbeatEveryMs,
    }
    socket.send(JSON.stringify(welcome))
    await handlers.onConnected(provider.id, message)
  }

  const refuse = (error: unknown): void => {
    const code = error instanceof OrienError ? error.code : 'internal_error'
    const detail = error instanceof OrienError ? error.message : 'Something broke on our side'
    ctx.log.warn({ event: 'node.refused', providerId, code, err: error })
    if (providerId !== null) return
    socket.send(JSON.stringify({ type: 'refused', code, detail }))
    socket.close(4001, code)
  }

  socket.on('message', (data) => {
    clearTimeout(silence)
    silence = setTimeout(() => socket.terminate(), SILENCE_MS)
    const message = readMessage(data)
    if (!message) return refuse(new OrienError('validation_failed', 'A message is not of the protocol'))
    if (providerId !== null && isAnswer(message)) {
      connection.exchanges.get(message.requestId)?.(message)
      return
    }
    pending += 1
    if (pending >= MAX_PENDING) socket.pause()
    // One after the other: a receipt must not overtake the log lines before it.
    chain = chain
      .then(() => handle(message))
      .catch(refuse)
      .then(() => {
        pending -= 1
        if (pending < MAX_PENDING / 2) socket.resume()
      })
  })
  socket.on('close', () => {
    clearTimeout(silence)
    if (providerId !== null && connections.get(providerId) === connection) connections.delete(providerId)
    for (const listener of connection.exchanges.values()) listener(null)
    connection.exchanges.clear()
    ctx.log.info({ event: 'node.disconnected', providerId })
  })
  socket.on('error', (error) => ctx.log.warn({ event: 'node.socket_failed', providerId, err: error }))
  socket.send(JSON.stringify({ type: 'challenge', nonce }))
}

/** Narrowing for the composition: every message a connected node may send on its own. */
export function isUnprompted(
  message: FromNode,
): message is Exclude<FromNode, { requestId: number } | { type: 'hello' }> {
  switch (message.type) {
    case 'heartbeat':
    case 'started':
    case 'log':
    case 'meter':
    case 'receipt':
      return true
    case 'hello':
    case 'claim':
    case 'failure':
    case 'files':
    case 'fileOpened':
    case 'fileChunk':
    case 'fileEnd':
    case 'fileCredit':
      return false
    default:
      return assertNever(message)
  }
}
