import { once } from 'node:events'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { randomName } from '../names.ts'

/** A socket of the node for one helper to connect to. */
export type Door = {
  socketPath: string
  /** The first who comes; nobody comes after it. */
  entered: Promise<Socket>
  close(): void
}

/** @param dir a directory of this node alone: only a container that is shown the socket can reach it */
export async function openDoor(dir: string): Promise<Door> {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const name = randomName()
  // By the descriptor, because a socket's name may have no more than 107 bytes.
  const dirFd = openSync(dir, 'r')
  const server = createServer()
  server.listen(`/proc/self/fd/${dirFd}/${name}`)
  await once(server, 'listening')
  const socketPath = join(dir, name)
  await chmod(socketPath, 0o666)
  server.once('close', () => closeSync(dirFd))
  const entered = new Promise<Socket>((resolve) => {
    server.once('connection', (socket) => {
      server.close()
      // It may break before anybody reads it.
      socket.on('error', () => {})
      resolve(socket)
    })
  })
  return { socketPath, entered, close: () => void server.close() }
}
