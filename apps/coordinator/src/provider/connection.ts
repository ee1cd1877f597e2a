import { type FromNode, fromNode, type Id, LIMITS, OrienError } from '@orien/protocol'
import type { WebSocket } from 'ws'
import type { z } from 'zod'
import type { Context, NodeState } from '../context.ts'
import { databaseFailure, isOutage } from '../db/failure.ts'
import { EVERYBODY } from './admission.ts'
import { identifyNode, takeOffer } from './connect.ts'

type Hello = Extract<FromNode, { type: 'hello' }>

/** What the rest of the coordinator does with what nodes say. */
export type NodeHandlers = {
  onConnected: (providerId: string, hello: Hello) => Promise<void>
  onMessage: (providerId: string, message: FromNode) => Promise<void>
}

/** A node that was let in, and the conversations that wait for its answers. */
export type Connection = {
  socket: WebSocket
  exchanges: Map<number, (message: FromNode | null) => void>
  state: NodeState
  /** We have ended it, and what it still had for us comes again on the next one. */
  isCut: boolean
}

/** Ends a conversation of which something could not be taken. */
export function cut(connection: Connection): void {
  connection.isCut = true
  connection.socket.terminate()
}

/** Everything a new connection needs; `connections` holds those that were let in, by provider. */
export type Attachment = {
  ctx: Context
  socket: WebSocket
  /** The `Host` that the node asked for. */
  host?: string | undefined
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
  const state: NodeState = { admission: EVERYBODY }
  const connection: Connection = { socket, exchanges: new Map(), state, isCut: false }
  const peer: Peer = { ...attachment, nonce, connection, providerId: null }
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
      .catch((error: unknown) => refuse(peer, error, message))
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
  if (peer.connection.isCut) return
  if (peer.providerId !== null) {
    noteState(peer.connection, message)
    return peer.handlers.onMessage(peer.providerId, message)
  }
  if (message.type !== 'hello') throw new OrienError('unauthorized', 'The first message is hello')
  await admit(peer, message)
}

/** How long a connection that is in may take to show that somebody is still at its other end. */
const ALIVE_MS = 3_000

/**
 * One node at a time works under a key: two would sign two chains of receipts. The one that is in stays if it is alive,
 * and hears of the other; if it is not, its successor need not wait until the silence has been long enough.
 *
 * @throws OrienError `duplicate_node`
 */
async function requireAlone({ ctx, connections }: Peer, id: string): Promise<void> {
  const incumbent = connections.get(id)
  if (!incumbent) return
  if (await isAlive(incumbent.socket)) {
    const detail = 'Another node tried to connect with the key of this one; it was refused'
    incumbent.socket.send(JSON.stringify({ type: 'refused', code: 'duplicate_node', detail }))
    throw new OrienError('duplicate_node')
  }
  ctx.log.warn({ event: 'node.replaced', providerId: id })
  incumbent.socket.terminate()
  // Two that waited for the same silence: the first of them is in.
  if (connections.get(id) === incumbent) connections.delete(id)
  else if (connections.has(id)) throw new OrienError('duplicate_node')
}

function isAlive(socket: WebSocket): Promise<boolean> {
  if (socket.readyState !== socket.OPEN) return Promise.resolve(false)
  // We are the ones who do not read: it says more than we can take.
  if (socket.isPaused) return Promise.resolve(true)
  return new Promise((resolve) => {
    const finish = (alive: boolean) => {
      clearTimeout(timer)
      socket.off('pong', onPong)
      socket.off('close', onClose)
      resolve(alive)
    }
    const onPong = () => finish(true)
    const onClose = () => finish(false)
    const timer = setTimeout(onClose, ALIVE_MS)
    socket.on('pong', onPong)
    socket.on('close', onClose)
    socket.ping()
  })
}

/** What the node tells about itself stays with its connection: a node that comes back tells it anew. */
function noteState({ state }: Connection, message: FromNode): void {
  if (message.type === 'admission') state.admission = message.admission
  if (message.type !== 'heartbeat') return
  const { running, queued, slots, clockSkewMs } = message
  state.load = {
    running,
    queued,
    ...(slots === undefined ? {} : { slots }),
    ...(clockSkewMs === undefined ? {} : { clockSkewMs }),
  }
}

async function admit(peer: Peer, hello: Hello): Promise<void> {
  const { ctx, socket, connections } = peer
  const provider = await identifyNode(ctx, peer, hello)
  const { id } = provider
  // Before its offer is taken over: the one that is in goes on under its own.
  await requireAlone(peer, id)
  await takeOffer(ctx, provider, hello)
  if (connections.has(id)) throw new OrienError('duplicate_node')
  if (socket.readyState !== socket.OPEN) return
  peer.providerId = id
  if (hello.admission) peer.connection.state.admission = hello.admission
  connections.set(id, peer.connection)
  const serverTime = ctx.clock.now().toISOString()
  const { heartbeatEveryMs } = LIMITS
  socket.send(
    JSON.stringify({ type: 'welcome', providerId: id as Id<'provider'>, serverTime, heartbeatEveryMs }),
  )
  await peer.handlers.onConnected(id, hello)
}

/** Whether what was lost is said by the next message of its kind. */
const isRepeatedAnyway = (message: FromNode | null) =>
  message?.type === 'heartbeat' || message?.type === 'meter'

/**
 * A stranger is told why and cut off; a node that is in keeps its connection, for its other work's sake. Only when the
 * database was away is it cut: on a new connection it says everything again that was not taken.
 */
function refuse(
  { ctx, socket, connection, providerId }: Peer,
  error: unknown,
  message: FromNode | null = null,
): void {
  const code = error instanceof OrienError ? error.code : 'internal_error'
  const detail = error instanceof OrienError ? error.message : 'Something broke on our side'
  ctx.log.warn({ event: 'node.refused', providerId, code, err: error })
  if (providerId !== null) {
    if (isOutage(databaseFailure(error, 'unknown')) && !isRepeatedAnyway(message)) cut(connection)
    return
  }
  socket.send(JSON.stringify({ type: 'refused', code, detail }))
  socket.close(4001, code)
}

function disconnect({ ctx, connection, connections, providerId }: Peer): void {
  if (providerId !== null && connections.get(providerId) === connection) connections.delete(providerId)
  for (const listener of connection.exchanges.values()) listener(null)
  connection.exchanges.clear()
  ctx.log.info({ event: 'node.disconnected', providerId })
}
