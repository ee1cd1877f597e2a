import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import type { Tap } from '../tap.ts'
import { closeServer, type Link, portOf } from './postgresLink.ts'

/** Where processes with hooks ask before, and tell after, what nobody can see from outside. */
export async function openHooks(tap: Tap): Promise<Link & { url: string }> {
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    void tap.pass(decodeURIComponent((request.url ?? '/').slice(1))).then(() => response.end())
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  return { port, url: `http://127.0.0.1:${port}`, close: () => closeServer(server, sockets) }
}
