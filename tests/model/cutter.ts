import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Chance } from './chance.ts'

/** What becomes of a message on its way to the database. */
type Fate = 'arrives' | 'lost' | 'unanswered' | 'late'

/** Stands between coordinators and their database and cuts connections at moments that follow from a seed. */
export type Cutter = {
  url: string
  /** From now on one message in so many is hit; null: none. */
  cutEvery: (messages: number | null) => void
  cuts: () => number
  /** Delivers what is still held back; resolves when the database has dealt with all of it. */
  settle: () => Promise<void>
  close: () => Promise<void>
}

/** A message that is held back arrives after at most so many others. */
const LATEST = 60

/** @param databaseUrl of a PostgreSQL over TCP */
export async function startCutter(databaseUrl: string, chance: Chance): Promise<Cutter> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  const held: { countdown: number; deliver: () => void }[] = []
  const dying: Promise<unknown>[] = []
  let every: number | null = null
  let cuts = 0
  const fateOf = (): Fate => {
    for (const late of held) late.countdown -= 1
    for (const { deliver } of held.filter(({ countdown }) => countdown <= 0)) deliver()
    if (every === null || chance.below(every) > 0) return 'arrives'
    cuts += 1
    return chance.pick(['lost', 'unanswered', 'late'])
  }
  /** The database is told, and hears afterwards that nobody is there any more. */
  const cut = (fate: Exclude<Fate, 'arrives'>, upstream: Socket, message: Buffer) => {
    dying.push(once(upstream, 'close'))
    if (fate === 'lost') upstream.destroy()
    if (fate === 'unanswered') upstream.end(message)
    if (fate !== 'late') return
    const late = { countdown: chance.below(LATEST), deliver: () => {} }
    late.deliver = () => {
      held.splice(held.indexOf(late), 1)
      upstream.end(message)
    }
    held.push(late)
  }
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => {})
    }
    let isCut = false
    client.on('data', (message) => {
      if (isCut) return
      const fate = fateOf()
      if (fate === 'arrives') {
        upstream.write(message)
        return
      }
      isCut = true
      cut(fate, upstream, message)
      client.destroy()
    })
    upstream.on('data', (answer) => void (isCut || client.write(answer)))
    client.on('close', () => void (isCut || upstream.end()))
    upstream.on('close', () => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    cutEvery: (messages) => {
      every = messages
    },
    cuts: () => cuts,
    settle: async () => {
      for (const { deliver } of [...held]) deliver()
      await Promise.all(dying)
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
