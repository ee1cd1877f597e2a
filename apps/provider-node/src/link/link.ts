import { type FromNode, NODE_SOCKET_PATH, OrienError, type ToNode } from '@orien/protocol'
import { WebSocket } from 'ws'
import { type Clock, pause } from '../clock.ts'
import { NODE_LIMITS, type Timing } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Random } from '../random.ts'
import { backoffMs } from './backoff.ts'
import { type Connection, createConnection, readMessage } from './connection.ts'
import { isPermanent } from './register.ts'

/** What a link is for. */
export type LinkContext = {
  coordinatorUrl: string
  /** Makes the coordinator know the node; before the first connection, and again when it says it does not. */
  register(signal: AbortSignal): Promise<void>
  hello(nonce: string): Extract<FromNode, { type: 'hello' }>
  heartbeat(): Extract<FromNode, { type: 'heartbeat' }>
  /** The coordinator has let the node in. */
  onLive(connection: Connection): void
  onMessage(message: ToNode, connection: Connection): void
  /** Called at each heartbeat; the result, once the other side has received everything sent before it. */
  onHeartbeat(): () => void
  clock: Clock
  random: Random
  timing: Timing
  log: Log
}

/** How the link stands. */
export type LinkStatus = {
  state: 'connecting' | 'live' | 'stopped'
  /** The last refusal of registration or connection, until it succeeds. */
  refusal?: { code: string; detail: string }
}

/** An outbound connection that is made again whenever it is lost. */
export type Link = {
  status(): LinkStatus
  /** Resolves at the first `welcome`; rejects when the coordinator refuses for good. */
  live: Promise<void>
  /** Makes a new connection, for what only `hello` can tell. */
  renew(): void
  stop(): Promise<void>
}

/** Why a connection ended, for the log and for the next attempt. */
type Ending = { welcomed: boolean; refusal?: { code: string; detail: string } }

export function openLink(context: LinkContext): Link {
  const { clock, random, timing, log } = context
  const stopped = new AbortController()
  const live = Promise.withResolvers<void>()
  live.promise.catch(() => {})
  const status: LinkStatus = { state: 'connecting' }
  let current: Connection | undefined
  let isRegistered = false

  async function attempt(): Promise<Ending> {
    if (!isRegistered) await register()
    return converse(context, stopped.signal, (connection) => {
      current = connection
      status.state = 'live'
      delete status.refusal
      live.resolve()
    })
  }

  async function register(): Promise<void> {
    const timeout = AbortSignal.timeout(timing.requestMs)
    await context.register(AbortSignal.any([stopped.signal, timeout]))
    isRegistered = true
  }

  function note(refusal: { code: string; detail: string }): void {
    status.refusal = refusal
    log.warn({ event: 'link.refused', ...refusal })
    // Our keys or tools are not the registered ones: only a registration can change that.
    if (refusal.code !== 'duplicate_node') isRegistered = false
  }

  async function run(): Promise<void> {
    let failures = 0
    while (!stopped.signal.aborted) {
      const beganMs = clock.monotonicMs()
      try {
        const ending = await attempt()
        if (ending.refusal) note(ending.refusal)
        if (ending.welcomed && clock.monotonicMs() - beganMs >= timing.settledMs) failures = 0
      } catch (error) {
        if (stopped.signal.aborted) break
        const known =
          error instanceof OrienError
            ? error
            : new OrienError('internal_error', undefined, {}, { cause: error })
        note({ code: known.code, detail: known.message })
        if (isPermanent(error)) live.reject(known)
      }
      status.state = 'connecting'
      current = undefined
      await pause(clock, backoffMs(failures, random.fraction(), timing), stopped.signal)
      failures += 1
    }
    status.state = 'stopped'
    live.reject(new OrienError('coordinator_unreachable', 'the node was stopped'))
  }

  const running = run()
  return {
    status: () => structuredClone(status),
    live: live.promise,
    renew: () => current?.close(),
    stop: async () => {
      stopped.abort()
      await running
    },
  }
}

function socketUrl(coordinatorUrl: string): URL {
  const url = new URL(NODE_SOCKET_PATH, coordinatorUrl)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url
}

/** One connection from its opening to its end. */
function converse(
  context: LinkContext,
  stop: AbortSignal,
  onWelcome: (connection: Connection) => void,
): Promise<Ending> {
  const { clock, timing, log } = context
  return new Promise((resolve) => {
    const ending: Ending = { welcomed: false }
    const socket = new WebSocket(socketUrl(context.coordinatorUrl), {
      maxPayload: NODE_LIMITS.messageBytes,
      perMessageDeflate: false,
      handshakeTimeout: timing.handshakeMs,
      followRedirects: false,
    })
    const connection = createConnection(socket)
    let stopHeart = () => {}
    const cancelHandshake = clock.after(timing.handshakeMs, () => socket.terminate())
    const onStop = () => {
      socket.close(1001)
      // A side that does not answer the close would keep us here for half a minute.
      clock.after(timing.closeMs, () => socket.terminate())
    }
    stop.addEventListener('abort', onStop, { once: true })
    if (stop.aborted) socket.terminate()

    const beWelcomed = (heartbeatEveryMs: number) => {
      ending.welcomed = true
      cancelHandshake()
      const everyMs = Math.min(Math.max(heartbeatEveryMs, timing.heartbeatMinMs), timing.heartbeatMaxMs)
      stopHeart = startHeart(context, socket, connection, everyMs)
      onWelcome(connection)
      context.onLive(connection)
    }
    const take = (message: ToNode) => {
      if (ending.welcomed) context.onMessage(message, connection)
      else if (message.type === 'challenge') connection.send(context.hello(message.nonce))
      else if (message.type === 'welcome') beWelcomed(message.heartbeatEveryMs)
      else if (message.type === 'refused') {
        ending.refusal = { code: message.code, detail: message.detail }
        connection.close()
      }
    }
    socket.on('message', (data, isBinary) => {
      const message = isBinary ? null : readMessage(data)
      try {
        if (message) take(message)
        else log.warn({ event: 'link.unreadable' })
      } catch (error) {
        // One message that we cannot bear must not end the runs of others.
        log.error({ event: 'link.broken', type: message?.type, err: error })
      }
    })
    socket.on('error', (error) => log.warn({ event: 'link.error', detail: error.message }))
    socket.on('close', () => {
      stopHeart()
      cancelHandshake()
      stop.removeEventListener('abort', onStop)
      resolve(ending)
    })
  })
}

/** Tells that the node lives, and finds out whether the other side does: silence over three beats is the end. */
function startHeart(
  { clock, heartbeat, onHeartbeat, log }: LinkContext,
  socket: WebSocket,
  connection: Connection,
  everyMs: number,
): () => void {
  let heardAtMs = clock.monotonicMs()
  const hear = () => {
    heardAtMs = clock.monotonicMs()
  }
  socket.on('message', hear)
  socket.on('pong', hear)
  let cancel = clock.after(everyMs, beat)
  function beat(): void {
    cancel = clock.after(everyMs, beat)
    if (clock.monotonicMs() - heardAtMs > 3 * everyMs) {
      log.warn({ event: 'link.silent' })
      socket.terminate()
      return
    }
    connection.send(heartbeat())
    const confirm = onHeartbeat()
    void connection.ping().then((received) => {
      if (received) confirm()
    })
  }
  return () => cancel()
}
