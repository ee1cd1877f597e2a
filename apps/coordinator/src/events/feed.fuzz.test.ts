import type { SessionEventRecord } from '@orien/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBus } from './bus.ts'
import { createFeeds, type Following } from './feed.ts'

const SESSION = 'ses_fuzz'

const record = (sequence: number): SessionEventRecord => ({
  sequence,
  type: 'execution.accepted',
  at: '2026-11-23T00:00:00.000Z',
  data: {},
})

/** What one client has seen over all of its connections. */
type Client = { seen: number[]; roomFor: number; following: Following | null; failures: number }

type Step =
  | { do: 'publish'; count: number; isTold: boolean }
  | { do: 'connect' | 'cut' | 'drain'; client: number }
  | { do: 'narrow'; client: number; roomFor: number }
  | { do: 'log' }
  | { do: 'yield' }

const client = fc.nat(3)
const few = fc.integer({ min: 1, max: 3 })
// Around the size of a page.
const many = fc.integer({ min: 190, max: 410 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('publish' as const), count: few, isTold: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('publish' as const), count: many, isTold: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('connect' as const), client }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('cut' as const, 'drain' as const), client }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('narrow' as const), client, roomFor: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'log' as const }) },
  // Mostly time goes by between two things that happen.
  { weight: 8, arbitrary: fc.constant({ do: 'yield' as const }) },
)

/** A feed over a log in memory whose reads are answered in an order that the test chooses. */
function openWorld(scheduler: fc.Scheduler) {
  let committed = 0
  let reads = 0
  const bus = createBus()
  const feeds = createFeeds(bus, async (_session, after, limit) => {
    reads += 1
    await scheduler.schedule(Promise.resolve(), 'a read begins')
    const page = Array.from({ length: Math.min(limit, committed - after) }, (_, index) =>
      record(after + index + 1),
    )
    await scheduler.schedule(Promise.resolve(), 'a read is answered')
    return page
  })
  const clients: Client[] = Array.from({ length: 4 }, () => ({
    seen: [],
    roomFor: Number.POSITIVE_INFINITY,
    following: null,
    failures: 0,
  }))
  const connect = (of: Client) => {
    of.following?.stop()
    of.following = feeds.follow(SESSION, of.seen.at(-1) ?? 0, {
      write: (chunk) => {
        for (const [, id] of Buffer.from(chunk)
          .toString()
          .matchAll(/^id: (\d+)$/gm))
          of.seen.push(Number(id))
        of.roomFor -= 1
        return of.roomFor > 0
      },
      fail: () => {
        of.failures += 1
      },
    })
  }
  const publish = ({ count, isTold }: { count: number; isTold: boolean }) => {
    for (let index = 0; index < count; index += 1) {
      committed += 1
      const told = isTold ? { record: record(committed) } : {}
      bus.publish(SESSION, { kind: 'event', sequence: committed, ...told })
    }
  }
  return { bus, feeds, clients, connect, publish, committed: () => committed, reads: () => reads }
}

const takeTurn = async (scheduler: fc.Scheduler) => {
  if (scheduler.count() > 0) await scheduler.waitOne()
  await new Promise((resolve) => setImmediate(resolve))
}

const settle = async (scheduler: fc.Scheduler) => {
  do await takeTurn(scheduler)
  while (scheduler.count() > 0)
}

test('whoever reads, slowly, cut off and resumed, sees every event once and in order, however reads interleave', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(step, { minLength: 20, maxLength: 60 }),
      async (scheduler, steps) => {
        const world = openWorld(scheduler)
        for (const each of steps) {
          if (each.do === 'publish') world.publish(each)
          else if (each.do === 'log')
            world.bus.publish(SESSION, { kind: 'meter', executionId: 'exe', effectiveMs: 1 })
          else if (each.do === 'yield') await takeTurn(scheduler)
          else {
            const of = world.clients[each.client]
            if (!of) continue
            if (each.do === 'connect') world.connect(of)
            if (each.do === 'narrow') of.roomFor = each.roomFor
            if (each.do === 'cut') {
              of.following?.stop()
              of.following = null
            }
            if (each.do === 'drain') {
              of.roomFor = Number.POSITIVE_INFINITY
              of.following?.drained()
            }
          }
        }
        for (const of of world.clients) {
          of.roomFor = Number.POSITIVE_INFINITY
          // Whoever is connected must need nothing but room to see the rest.
          if (of.following) of.following.drained()
          else world.connect(of)
        }
        await settle(scheduler)
        const all = Array.from({ length: world.committed() }, (_, index) => index + 1)
        for (const of of world.clients) expect(of.seen).toEqual(all)
        for (const of of world.clients) of.following?.stop()
        expect(world.feeds.readers()).toBe(0)
      },
    ),
    { numRuns: 200 },
  )
})

test('one event costs one read and one encoding for all who are live', async () => {
  const bus = createBus()
  let reads = 0
  let committed = 0
  const chunks = new Set<Uint8Array>()
  const feeds = createFeeds(bus, async (_session, after) => {
    reads += 1
    return after < committed ? [record(committed)] : []
  })
  let written = 0
  for (let index = 0; index < 1_000; index += 1) {
    feeds.follow(SESSION, 0, {
      write: (chunk) => {
        chunks.add(chunk)
        written += 1
        return true
      },
      fail: () => {},
    })
  }
  await new Promise((resolve) => setImmediate(resolve))
  reads = 0
  committed = 1
  bus.publish(SESSION, { kind: 'event', sequence: 1 })
  await new Promise((resolve) => setImmediate(resolve))
  expect({ reads, written, encodings: chunks.size }).toEqual({ reads: 1, written: 1_000, encodings: 1 })
})

test('a reader that takes nothing is given nothing more, and costs nothing but its place', async () => {
  const bus = createBus()
  let committed = 1
  const feeds = createFeeds(bus, async (_session, after, limit) =>
    Array.from({ length: Math.min(limit, committed - after) }, (_, index) => record(after + index + 1)),
  )
  let chunksTaken = 0
  let isOpen = false
  const following = feeds.follow(SESSION, 0, {
    write: () => {
      chunksTaken += 1
      return isOpen
    },
    fail: () => {},
  })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  await turn()
  for (; committed < 5_000; committed += 1) {
    bus.publish(SESSION, { kind: 'event', sequence: committed + 1 })
    bus.publish(SESSION, { kind: 'meter', executionId: 'exe', effectiveMs: 1 })
  }
  await turn()
  expect(chunksTaken).toBe(1)
  isOpen = true
  following.drained()
  for (let turns = 0; turns < 100; turns += 1) await turn()
  expect(chunksTaken).toBe(5_000)
})

test('a database that fails ends the streams, so that their readers come back', async () => {
  const feeds = createFeeds(createBus(), async () => {
    throw new TypeError('no database')
  })
  const failed = await new Promise((resolve) =>
    feeds.follow(SESSION, 0, { write: () => true, fail: resolve }),
  )
  expect(failed).toBeInstanceOf(TypeError)
})
