import { type FromNode, NODE_SOCKET_PATH, type ToNode } from '@orien/protocol'
import { WebSocket } from 'ws'
import type { Clock } from '../clock.ts'
import { NODE_LIMITS, type Timing } from '../limits.ts'
import type { Log } from '../log.ts'
import type { ClockSkew, SkewMeter } from './clockSkew.ts'
import { type Connection, createConnection, readMessage } from './connection.ts'

/** Beats without a word from the other side. */
const SILENT_BEATS = 3

/** What the two sides have to say to each other. */
export type Conversation = {
  coordinatorUrl: string
  hello(nonce: string): Extract<FromNode, { type: 'hello' }>
  heartbeat(skew: ClockSkew | undefined): Extract<FromNode, { type: 'heartbeat' }>
  /** The coordinator has let the node in. */
  onLive(connection: Connection): void
  onMessage(message: ToNode, connection: Connection): void
  /** Somebody else has tried to connect with our key. */
  onRival(detail: string): void
  skew: SkewMeter
  clock: Clock
  timing: Timing
  log: Log
}

/** Why a connection ended, for the log and for the next attempt. */
export type Ending = { welcomed: boolean; refusal?: { code: string; detail: string } }

function socketUrl(coordinatorUrl: string): URL {
  const url = new URL(NODE_SOCKET_PATH, coordinatorUrl)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url
}

/** One connection from its opening to its end. */
export async function converse(
  context: Conversation,
  stop: AbortSignal,
  onWelcome: (connection: Connection) => void,
): Promise<Ending> {
  const { clock, timing, log } = context
  const ending: Ending = { welcomed: false }
  const socket = new WebSocket(socketUrl(context.coordinatorUrl), {
    maxPayload: NODE_LIMITS.messageBytes,
    perMessageDeflate: false,
    handshakeTimeout: timing.handshakeMs,
    followRedirects: false,
  })
  const connection = createConnection(socket)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  const cancelHandshake = clock.after(timing.handshakeMs, () => socket.terminate())
  let stopHeart = () => {}
  let takeTime: (serverTime: string) => void = () => {}
  const beWelcomed = (heartbeatEveryMs: number) => {
    ending.welcomed = true
    cancelHandshake()
    stopHeart = startHeart(context, socket, connection, heartbeatEveryMs)
    onWelcome(connection)
    context.onLive(connection)
  }
  socket.on('error', (error) => log.warn({ event: 'link.error', detail: error.message }))
  socket.on('message', (data, isBinary) => {
    const message = isBinary ? null : readMessage(data)
    try {
      if (!message) log.warn({ event: 'link.unreadable' })
      else if (ending.welcomed) hearAll(context, message, connection)
      else if (message.type === 'welcome') {
        takeTime(message.serverTime)
        beWelcomed(message.heartbeatEveryMs)
      } else if (message.type === 'challenge') {
        takeTime = context.skew.ask()
        connection.send(context.hello(message.nonce))
      } else if (message.type === 'refused') {
        ending.refusal = { code: message.code, detail: message.detail }
        connection.close()
      }
    } catch (error) {
      // One message that we cannot bear must not end the runs of others.
      log.error({ event: 'link.broken', type: message?.type, err: error })
    }
  })
  const hangUp = () => {
    socket.close(1001)
    // A side that does not answer the close would keep us here for half a minute.
    clock.after(timing.closeMs, () => socket.terminate())
  }
  stop.addEventListener('abort', hangUp, { once: true })
  if (stop.aborted) socket.terminate()
  await closed
  stopHeart()
  cancelHandshake()
  stop.removeEventListener('abort', hangUp)
  return ending
}

/** A refusal on a connection that is in is not ours: it tells of another that wanted to be us. */
function hearAll({ onMessage, onRival }: Conversation, message: ToNode, connection: Connection): void {
  if (message.type === 'refused') onRival(message.detail)
  else onMessage(message, connection)
}

/** Tells that the node lives, and finds out whether the other side does: too many beats of silence are the end. */
function startHeart(
  { clock, heartbeat, skew, timing, log }: Conversation,
  socket: WebSocket,
  connection: Connection,
  wantedMs: number,
): () => void {
  const everyMs = Math.min(Math.max(wantedMs, timing.heartbeatMinMs), timing.heartbeatMaxMs)
  let silentBeats = 0
  const hear = () => {
    silentBeats = 0
  }
  socket.on('message', hear)
  socket.on('pong', hear)
  let cancel = clock.after(everyMs, beat)
  function beat(): void {
    cancel = clock.after(everyMs, beat)
    // Counted in beats, not in time: after a stall of our own, what has arrived meanwhile is still unread.
    silentBeats += 1
    if (silentBeats > SILENT_BEATS) {
      log.warn({ event: 'link.silent' })
      socket.terminate()
      return
    }
    connection.send(heartbeat(skew.current()))
    void connection.ping()
  }
  return () => cancel()
}
