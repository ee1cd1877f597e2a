import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Tap } from '../tap.ts'
import { createPump } from './pump.ts'
import { type Message, readStatements } from './statements.ts'

/** A way to PostgreSQL that can be struck at any statement and at any answer. */
export type Link = { port: number; close: () => Promise<void> }

/**
 * Stands between coordinator and PostgreSQL. A request is everything up to a Sync or a simple Query, an answer
 * everything up to ReadyForQuery; both are named by what the statement does (`pg > submit`, `pg < commit of open`).
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export async function openPostgresLink(tap: Tap, upstreamPort: number): Promise<Link> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => carry(tap, client, upstreamPort, sockets))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: portOf(server), close: () => closeServer(server, sockets) }
}

export function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

export async function closeServer(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  for (const socket of sockets) socket.destroy()
  await closed
}

function carry(tap: Tap, client: Socket, upstreamPort: number, sockets: Set<Socket>): void {
  const server = connect(upstreamPort, '127.0.0.1')
  const cut = () => {
    client.destroy()
    server.destroy()
  }
  for (const socket of [client, server]) {
    sockets.add(socket)
    socket.on('error', cut)
    socket.on('close', () => {
      sockets.delete(socket)
      cut()
    })
  }
  const nameOf = readStatements()
  const requests = createPump<Buffer>(tap, { send: (bytes) => server.write(bytes), cut })
  const answers = createPump<Buffer>(tap, { send: (bytes) => client.write(bytes), cut })
  const waiting: string[] = []
  const readRequest = unitReader(true, (unit, messages) => {
    const name = nameOf(messages)
    if (name !== null) waiting.push(name)
    requests.push(`pg > ${name ?? 'other'}`, unit)
  })
  const readAnswer = unitReader(false, (unit) => answers.push(`pg < ${waiting.shift() ?? 'other'}`, unit))
  client.on('data', readRequest)
  server.on('data', readAnswer)
}

const READY = 'Z'
/** Of the extended protocol: parts of a request that a Sync ends. */
const PARTS = new Set(['P', 'B', 'D', 'E', 'C', 'H'])

type Unit = (bytes: Buffer, messages: readonly Message[]) => void

/** Cuts a stream into units: while a connection is being made each message is one, then up to what ends a unit. */
function unitReader(isClient: boolean, take: Unit): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0)
  let unit: Buffer[] = []
  let messages: Message[] = []
  let hasBegun = !isClient
  let isReady = false
  const endsUnit = (type: string) => {
    if (isClient) return !PARTS.has(type)
    isReady ||= type === READY
    return type === READY || (!isReady && (type === 'R' || type === 'E'))
  }
  return (chunk) => {
    pending = Buffer.concat([pending, chunk])
    for (;;) {
      // The start-up packet is the one message without a type.
      const head = hasBegun ? 5 : 4
      if (pending.length < head) return
      const size = pending.readInt32BE(head - 4) + head - 4
      if (pending.length < size) return
      const bytes = pending.subarray(0, size)
      const type = hasBegun ? String.fromCharCode(bytes[0] ?? 0) : ''
      pending = pending.subarray(size)
      hasBegun = true
      unit.push(bytes)
      messages.push({ type, body: bytes.subarray(head) })
      if (!endsUnit(type)) continue
      take(Buffer.concat(unit), messages)
      unit = []
      messages = []
    }
  }
}
