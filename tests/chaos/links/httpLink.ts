import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Tap, Verdict } from '../tap.ts'
import { closeServer, type Link, portOf } from './postgresLink.ts'

export type HttpLinkOptions = {
  tap: Tap
  upstreamPort: number
  /** Port of its own, 0 for any. */
  port?: number
  /** Names a request; null lets it pass uncounted. */
  nameOf: (request: { method: string; path: string; body: Buffer }) => string | null
  /** The answer of a server that is there and cannot serve. */
  refusal?: string
  /** While it says so nobody gets through, counted or not. */
  isDown?: () => boolean
  onUpgrade?: (request: IncomingMessage, socket: Socket, head: Buffer) => void
}

/** Stands between a client and an HTTP server: `name >` is a request that nobody has seen, `name <` an answer. */
export async function openHttpLink(options: HttpLinkOptions): Promise<Link> {
  const sockets = new Set<Socket>()
  const server = createServer((incoming, outgoing) => {
    carry(options, incoming, outgoing).catch(() => outgoing.destroy())
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  server.on('upgrade', (incoming, socket, head) => options.onUpgrade?.(incoming, socket as Socket, head))
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  return { port: portOf(server), close: () => closeServer(server, sockets) }
}

async function carry(
  options: HttpLinkOptions,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { tap, nameOf, isDown } = options
  if (isDown?.()) return void outgoing.destroy()
  const body = await buffer(incoming)
  const { method = 'GET', url: path = '/' } = incoming
  const name = nameOf({ method, path, body })
  const first = name === null ? 'deliver' : await tap.pass(`${name} >`)
  if (isLost(first)) return void lose(options, first, outgoing)
  const times = first === 'twice' ? 2 : 1
  let answer: IncomingMessage | null = null
  for (let sent = 0; sent < times; sent += 1)
    answer = await forward(options.upstreamPort, incoming, body, outgoing)
  if (!answer) return
  const second = name === null ? 'deliver' : await tap.pass(`${name} <`)
  if (isLost(second)) return void lose(options, second, outgoing)
  outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
  answer.on('error', () => outgoing.destroy())
  answer.pipe(outgoing)
}

const isLost = (verdict: Verdict) => verdict === 'cut' || verdict === 'drop' || verdict === 'refuse'

function lose({ refusal }: HttpLinkOptions, verdict: Verdict, outgoing: ServerResponse): void {
  if (verdict !== 'refuse' || refusal === undefined) return void outgoing.destroy()
  outgoing.writeHead(503, { 'content-type': 'application/json' })
  outgoing.end(refusal)
}

async function forward(
  port: number,
  { method, url, headers }: IncomingMessage,
  body: Buffer,
  outgoing: ServerResponse,
): Promise<IncomingMessage> {
  const sent = request({
    host: '127.0.0.1',
    port,
    method,
    path: url,
    headers: { ...headers, connection: 'close' },
  })
  outgoing.on('close', () => sent.destroy())
  sent.end(body)
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  return answer
}
