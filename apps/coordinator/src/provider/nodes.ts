import { type ErrorCode, type FromNode, isErrorCode, OrienError, type ToNode, toNode } from '@orien/protocol'
import { z } from 'zod'
import type { Context, NodeRequest, Nodes } from '../context.ts'
import { type Attachment, type Connection, connect, cut, type NodeHandlers } from './connection.ts'

/** Live node connections of this process. */
export type NodeHub = Nodes & {
  /** Takes over a fresh WebSocket: challenge, admission, then messages until it closes. */
  attach: (ctx: Context, given: Pick<Attachment, 'socket' | 'host'>, handlers: NodeHandlers) => void
  /** A channel of raw messages with one request number, for files. */
  openExchange: (providerId: string, onMessage: (message: FromNode) => void) => Exchange
  close: () => void
}

/** A numbered conversation with a node. */
type Exchange = { requestId: number; send: (message: ToNode) => void; end: () => void }

/** How long a node may take to answer a question. */
const ANSWER_MS = 10_000
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
    stateOf: (providerId) => connections.get(providerId)?.state,
    send: (providerId, message) => {
      const connection = connections.get(providerId)
      if (connection) sendTo(connection, message)
      return connection !== undefined
    },
    cut: (providerId) => {
      const connection = connections.get(providerId)
      if (connection) cut(connection)
    },
    openExchange,
    ask: (providerId, request, answer) => askNode(openExchange, providerId, request, answer),
    attach: (ctx, given, handlers) => connect({ ctx, ...given, handlers, connections }),
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
