import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Chance } from '../harness/chance.ts'

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

/** Decides about messages, and keeps those that are held back. */
class Fates {
  every: number | null = null
  cuts = 0
  readonly #chance: Chance
  readonly #held: { countdown: number; deliver: () => void }[] = []
  readonly #dying: Promise<unknown>[] = []

  constructor(chance: Chance) {
    this.#chance = chance
  }

  next(): Fate {
    for (const late of this.#held) late.countdown -= 1
    for (const { deliver } of this.#held.filter(({ countdown }) => countdown <= 0)) deliver()
    if (this.every === null || this.#chance.below(this.every) > 0) return 'arrives'
    this.cuts += 1
    return this.#chance.pick(['lost', 'unanswered', 'late'])
  }

  /** The database is told, or not, and hears afterwards that nobody is there any more. */
  cut(fate: Exclude<Fate, 'arrives'>, upstream: Socket, message: Buffer): void {
    this.#dying.push(once(upstream, 'close'))
    if (fate === 'lost') upstream.destroy()
    if (fate === 'unanswered') upstream.end(message)
    if (fate !== 'late') return
    const late = { countdown: this.#chance.below(LATEST), deliver: () => {} }
    late.deliver = () => {
      this.#held.splice(this.#held.indexOf(late), 1)
      upstream.end(message)
    }
    this.#held.push(late)
  }

  async settle(): Promise<void> {
    for (const { deliver } of [...this.#held]) deliver()
    await Promise.all(this.#dying)
  }
}

/** Passes on what comes, until a message meets another fate. */
function join(client: Socket, upstream: Socket, fates: Fates): void {
  let isCut = false
  client.on('data', (message) => {
    if (isCut) return
    const fate = fates.next()
    if (fate === 'arrives') {
      upstream.write(message)
      return
    }
    isCut = true
    fates.cut(fate, upstream, message)
    client.destroy()
  })
  upstream.on('data', (answer) => void (isCut || client.write(answer)))
  client.on('close', () => void (isCut || upstream.end()))
  upstream.on('close', () => client.destroy())
}

/** @param databaseUrl of a PostgreSQL over TCP */
export async function startCutter(databaseUrl: string, chance: Chance): Promise<Cutter> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  const fates = new Fates(chance)
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => {})
    }
    join(client, upstream, fates)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    cutEvery: (messages) => {
      fates.every = messages
    },
    cuts: () => fates.cuts,
    settle: () => fates.settle(),
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
