import { type FromNode, fromNode, type ToNode, toNode } from '@orien/protocol'
import type { WebSocket } from 'ws'
import { NODE_LIMITS } from '../limits.ts'

/** One WebSocket to the coordinator. Nothing that is sent grows memory without bound. */
export type Connection = {
  /** For small messages. @returns false when the connection is gone; the message is then nobody's */
  send(message: FromNode): boolean
  /**
   * For bulk: runs the task once there is room in the socket's buffer, one task at a time, so that what waits to be
   * sent stays on the disk. @returns false when the connection was gone and the task did not run
   */
  inTurn(task: () => Promise<void>): Promise<boolean>
  /** Whether there is room right now; for what may be left out. */
  hasRoom(): boolean
  /** Aborted when the connection is gone. */
  signal: AbortSignal
  /** Resolves true once the other side has received all that was sent so far. */
  ping(): Promise<boolean>
  close(code?: number): void
}

/** @returns null for anything that is not a message of the protocol */
export function readMessage(data: unknown): ToNode | null {
  try {
    const parsed = toNode.safeDecode(JSON.parse(String(data)))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

/** Wraps a socket that is open. */
export function createConnection(socket: WebSocket): Connection {
  const gone = new AbortController()
  const pings: ((received: boolean) => void)[] = []
  let written = Promise.withResolvers<void>()
  let turn: Promise<unknown> = Promise.resolve()
  const isOpen = () => socket.readyState === socket.OPEN
  const hasRoom = () => socket.bufferedAmount < NODE_LIMITS.sendBufferBytes

  const onWritten = () => {
    written.resolve()
    written = Promise.withResolvers<void>()
  }
  socket.on('pong', () => pings.shift()?.(true))
  socket.on('close', () => {
    gone.abort()
    for (const answer of pings.splice(0)) answer(false)
    onWritten()
  })

  async function whenRoom(task: () => Promise<void>): Promise<boolean> {
    while (isOpen() && !hasRoom()) await written.promise
    if (!isOpen()) return false
    await task()
    return true
  }

  return {
    signal: gone.signal,
    hasRoom,
    send: (message) => {
      if (!isOpen()) return false
      // A side that reads nothing at all is better called dead than remembered in ever more memory.
      if (socket.bufferedAmount > NODE_LIMITS.sendBufferHardBytes) {
        socket.terminate()
        return false
      }
      socket.send(JSON.stringify(fromNode.encode(message)), onWritten)
      return true
    },
    inTurn: (task) => {
      const mine = turn.then(() => whenRoom(task))
      turn = mine.catch(() => {})
      return mine
    },
    ping: () =>
      new Promise((resolve) => {
        if (!isOpen()) return resolve(false)
        pings.push(resolve)
        socket.ping()
      }),
    close: (code = 1000) => socket.close(code),
  }
}
