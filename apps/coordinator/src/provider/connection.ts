import { type FromNode, fromNode, type Id, LIMITS, OrienError } from '@orien/protocol'
import type { WebSocket } from 'ws'
import type { z } from 'zod'
import type { Context } from '../context.ts'
import { admitNode } from './connect.ts'

type Hello = Extract<FromNode, { type: 'hello' }>

/** What the rest of the coordinator does with what nodes say. */
export type NodeHandlers = {
  onConnected: (providerId: string, hello: Hello) => Promise<void>
  onMessage: (providerId: string, message: FromNode) => Promise<void>
}

/** A node that was let in, and the conversations that wait for its answers. */
export type Connection = { socket: WebSocket; exchanges: Map<number, (message: FromNode | null) => void> }

/** Everything a new connection needs; `connections` holds those that were let in, by provider. */
export type Attachment = {
  ctx: Context
  socket: WebSocket
  handlers: NodeHandlers
  connections: Map<string, Connection>
}

/** How long a node may take to say hello. */
const HELLO_MS = 10_000
/** Silence after which a connection counts as dead. */
const SILENCE_MS = LIMITS.heartbeatTimeoutMs
/** Messages of one node that wait for their handler; beyond it the socket is not read. */
const MAX_PENDING = 256

type Peer = Attachment & { nonce: string; connection: Connection; providerId: string | null }

/** Takes over a fresh WebSocket: challenge, admission, then its messages one after the other until it closes. */
export function connect(attachment: Attachment): void {
  const { ctx, socket } = attachment
  const nonce = Buffer.from(ctx.random.bytes(24)).toString('base64url')
  const peer: Peer = { ...attachment, nonce, connection: { socket, exchanges: new Map() }, providerId: null }
  let pending = 0
  let chain = Promise.resolve()
  let silence = setTimeout(() => socket.terminate(), HELLO_MS)
  socket.on('message', (data) => {
    clearTimeout(silence)
    silence = setTimeout(() => socket.terminate(), SILENCE_MS)
    const message = readMessage(data)
    if (!message) return refuse(peer, new OrienError('validation_failed', 'A message is not of the protocol'))
    if (answersQuestion(peer, message)) return
    pending += 1
    if (pending >= MAX_PENDING) socket.pause()
    // One after the other: a receipt must not overtake the log lines before it.
    chain = chain
      .then(() => handle(peer, message))
      .catch((error: unknown) => refuse(peer, error))
      .then(() => {
        pending -= 1
        if (pending < MAX_PENDING / 2) socket.resume()
      })
  })
  socket.on('close', () => {
    clearTimeout(silence)
    disconnect(peer)
  })
  socket.on('error', (err) => ctx.log.warn({ event: 'node.socket_failed', providerId: peer.providerId, err }))
  socket.send(JSON.stringify({ type: 'challenge', nonce }))
}

function readMessage(data: unknown): FromNode | null {
  try {
    const parsed = fromNode.safeDecode(JSON.parse(String(data)) as z.input<typeof fromNode>)
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

function answersQuestion({ providerId, connection }: Peer, message: FromNode): boolean {
  if (providerId === null || !('requestId' in message)) return false
  connection.exchanges.get(message.requestId)?.(message)
  return true
}

async function handle(peer: Peer, message: FromNode): Promise<void> {
  if (peer.providerId !== null) return peer.handlers.onMessage(peer.providerId, message)
  if (message.type !== 'hello') throw new OrienError('unauthorized', 'The first message is hello')
  await admit(peer, message)
}

async function admit(peer: Peer, hello: Hello): Promise<void> {
  const { ctx, socket, connections } = peer
  const { id } = await admitNode(ctx, peer.nonce, hello)
  if (connections.has(id)) throw new OrienError('duplicate_node')
  if (socket.readyState !== socket.OPEN) return
  peer.providerId = id
  connections.set(id, peer.connection)
  const serverTime = ctx.clock.now().toISOString()
  const { heartbeatEveryMs } = LIMITS
  socket.send(
    JSON.stringify({ type: 'welcome', providerId: id as Id<'provider'>, serverTime, heartbeatEveryMs }),
  )
  await peer.handlers.onConnected(id, hello)
}

/** A stranger is told why and cut off; a node that is in keeps its connection, for its other work's sake. */
function refuse({ ctx, socket, providerId }: Peer, error: unknown): void {
  const code = error instanceof OrienError ? error.code : 'internal_error'
  const detail = error instanceof OrienError ? error.message : 'Something broke on our side'
  ctx.log.warn({ event: 'node.refused', providerId, code, err: error })
  if (providerId !== null) return
  socket.send(JSON.stringify({ type: 'refused', code, detail }))
  socket.close(4001, code)
}

function disconnect({ ctx, connection, connections, providerId }: Peer): void {
  if (providerId !== null && connections.get(providerId) === connection) connections.delete(providerId)
  for (const listener of connection.exchanges.values()) listener(null)
  connection.exchanges.clear()
  ctx.log.info({ event: 'node.disconnected', providerId })
}
