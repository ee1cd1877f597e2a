import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import type { Tap } from '../tap.ts'
import { openHttpLink } from './httpLink.ts'
import type { Link } from './postgresLink.ts'
import { createPump } from './pump.ts'

/** Stands between node and coordinator: `node > receipt` comes from the node, `node < dispatch` goes to it. */
export async function openNodeLink(tap: Tap, upstreamPort: number): Promise<Link & { cut: () => void }> {
  const sockets = new WebSocketServer({ noServer: true })
  const open = new Set<() => void>()
  const onUpgrade = (incoming: IncomingMessage, socket: Socket, head: Buffer) =>
    sockets.handleUpgrade(incoming, socket, head, (node) => {
      const url = `ws://127.0.0.1:${upstreamPort}${incoming.url ?? '/'}`
      bridge(tap, node, new WebSocket(url), open)
    })
  const link = await openHttpLink({ tap, upstreamPort, onUpgrade, nameOf: () => null })
  const cut = () => {
    for (const end of [...open]) end()
  }
  return {
    port: link.port,
    cut,
    close: async () => {
      cut()
      await link.close()
    },
  }
}

function bridge(tap: Tap, node: WebSocket, coordinator: WebSocket, open: Set<() => void>): void {
  const cut = () => {
    open.delete(cut)
    node.terminate()
    coordinator.terminate()
  }
  open.add(cut)
  for (const socket of [node, coordinator]) {
    socket.on('close', cut)
    socket.on('error', cut)
  }
  const early: string[] = []
  const up = createPump<string>(tap, {
    send: (text) => {
      if (coordinator.readyState === WebSocket.OPEN) coordinator.send(text)
    },
    cut,
  })
  const down = createPump<string>(tap, { send: (text) => node.send(text), cut })
  const pushUp = (text: string) => up.push(`node > ${typeOf(text)}`, text)
  node.on('message', (data) => {
    if (coordinator.readyState === WebSocket.CONNECTING) early.push(String(data))
    else pushUp(String(data))
  })
  coordinator.on('open', () => {
    for (const text of early.splice(0)) pushUp(text)
  })
  coordinator.on('message', (data) => down.push(`node < ${typeOf(String(data))}`, String(data)))
}

function typeOf(text: string): string {
  return /"type":"(\w+)"/.exec(text.slice(0, 200))?.[1] ?? 'other'
}
