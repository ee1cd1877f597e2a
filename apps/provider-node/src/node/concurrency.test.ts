import { channelId, receiptFault, ZERO } from '@orien/protocol'
import type { ChannelState } from '@orien/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chainOf, type TestSession } from '../testing/agent.ts'
import { startWorld, type World } from '../testing/world.ts'

const script = (code: string) => ({ tool: 'script', args: { code } })

const sessions: TestSession[] = []
const silence = Promise.withResolvers<ChannelState | null>()
let silentChannel = ''
let world: World
beforeAll(async () => {
  const chain = chainOf(sessions)
  world = await startWorld({
    sandboxMode: 'resident',
    readChannel: (terms) => (channelId(terms) === silentChannel ? silence.promise : chain(terms)),
  })
})
afterAll(async () => {
  silence.resolve(null)
  await world.close()
})

function newSession(): TestSession {
  const session = world.newSession()
  sessions.push(session)
  return session
}

describe('a node with much to do', () => {
  test('is not held up by a session whose channel the chain is silent about', async () => {
    const [stuck, other] = [newSession(), newSession()]
    silentChannel = channelId(stuck.channel)
    world.dispatch(stuck.work(script('0')))
    expect((await world.run(other.work(script('0')))).status).toBe('completed')
  })

  test('gives each session one unbroken chain of receipts, however its runs overtake each other', async () => {
    const several = [newSession(), newSession(), newSession()]
    const works = several.flatMap((session) =>
      Array.from({ length: 6 }, (_, index) =>
        session.work(script(`setTimeout(() => {}, ${(6 - index) * 20})`)),
      ),
    )
    const receipts = await Promise.all(works.map((work) => world.run(work)))
    for (const session of several) {
      const own = receipts.filter(({ sessionId }) => sessionId === session.sessionId)
      expect(own.map(({ sequence }) => sequence).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6])
      const first = own.find(({ sequence }) => sequence === 1)
      expect(
        first && receiptFault(first, { sequence: 0, hash: first.previous, cumulativeMicros: ZERO }),
      ).toBeNull()
      expect(new Set(own.map(({ previous }) => previous)).size).toBe(6)
    }
  })

  test('loses none of 64 runs that come at once, and a burst of one session delays the single calls of others by turns', async () => {
    const [crowd, ...singles] = Array.from({ length: 9 }, newSession)
    const burst = Array.from({ length: 56 }, () => (crowd as TestSession).work(script('0')))
    const alone = singles.map((session) => session.work(script('0')))
    const works = [...burst, ...alone]
    const from = world.coordinator.received.length
    const receipts = await Promise.all(works.map((work) => world.run(work)))
    expect(receipts.map(({ status }) => status)).toEqual(works.map(() => 'completed'))
    const said = world.coordinator.received.slice(from)
    const started = said.flatMap((message) => (message.type === 'started' ? [message.executionId] : []))
    expect(new Set(started)).toEqual(new Set(works.map(({ executionId }) => executionId)))
    const isCrowd = new Set<string>(burst.map(({ executionId }) => executionId))
    for (const { executionId } of alone) {
      const ahead = started.slice(0, started.indexOf(executionId)).filter((id) => isCrowd.has(id))
      expect(ahead.length).toBeLessThan(burst.length / 2)
    }
  }, 60_000)

  test('uses sandboxes again for runs of one session, and says how it runs tools', async () => {
    const session = newSession()
    for (let run = 0; run < 3; run += 1) await world.run(session.work(script('0')))
    const { sandboxes } = world.node.health()
    expect(sandboxes).toMatchObject({ mode: 'resident' })
    expect((sandboxes as { reused: number }).reused).toBeGreaterThanOrEqual(2)
  })

  test('keeps no sandbox of a session that is over', async () => {
    const session = newSession()
    const work = session.work(script('0'))
    await world.run(work)
    const discarded = () => (world.node.health().sandboxes as { discarded: number }).discarded
    const before = discarded()
    world.coordinator.send({ type: 'forgetSession', sessionId: session.sessionId })
    while (discarded() === before) await new Promise((resolve) => setImmediate(resolve))
    expect(discarded()).toBe(before + 1)
  })
})
