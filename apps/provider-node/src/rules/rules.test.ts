import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { NodeOptions } from '../node/startNode.ts'
import { createProcessDriver } from '../sandbox/unsandboxed.ts'
import { startWorld, type World } from '../testing/world.ts'

// What is tested is what the node does around a tool; development's driver spares each test the proof of a sandbox.
const QUICK = { reconnectMs: 10, reconnectMaxMs: 50, channelWaitMs: 200, channelRetryMs: 20, drainLookMs: 10 }

let world: World
afterEach(() => world.close())
async function open(given: Partial<NodeOptions> = {}): Promise<void> {
  world = await startWorld({ driver: createProcessDriver(), allowUnisolated: true, timing: QUICK, ...given })
}

const script = (code: string) => ({ tool: 'script', args: { code } })
const STAYS = script('console.log("here"); setInterval(() => {}, 1000)')

async function begin(session: ReturnType<World['newSession']>, given = STAYS) {
  const work = session.work(given)
  world.dispatch(work)
  await world.coordinator.next('log', (message) => message.executionId === work.executionId)
  return work
}

describe('a node that drains', () => {
  test('finishes the sessions that it knows, takes no new one, tells the coordinator and says when it is done', async () => {
    const onDrained = vi.fn()
    await open({ onDrained })
    const session = world.newSession()
    const running = await begin(session, script('console.log("here"); setTimeout(() => {}, 200)'))
    await world.node.changeRules({ mode: 'draining' }, true)
    expect((await world.coordinator.next('admission')).admission).toMatchObject({ mode: 'draining' })
    expect(await world.coordinator.next('heartbeat', ({ mode }) => mode === 'draining')).toMatchObject({
      slots: 2,
    })
    expect(await world.receipt(running.executionId)).toMatchObject({ status: 'completed' })
    expect(await world.run(session.work())).toMatchObject({ status: 'completed' })
    expect(await world.run(world.newSession().work())).toMatchObject({ reason: 'rejected', costMicros: 0n })
    expect(world.node.status()).toMatchObject({
      isDrained: false,
      leftovers: { sessions: [session.sessionId] },
    })
    expect(onDrained).not.toHaveBeenCalled()
    world.coordinator.send({ type: 'endSession', sessionId: session.sessionId })
    await vi.waitFor(() => expect(onDrained).toHaveBeenCalledOnce())
    expect(world.node.status()).toMatchObject({ isDrained: true })
  })

  test('stays one over a restart until it is undone', async () => {
    await open()
    await world.node.changeRules({ mode: 'draining' })
    await world.restart()
    expect(world.coordinator.received.findLast(({ type }) => type === 'hello')).toMatchObject({
      admission: { mode: 'draining' },
    })
    await world.node.changeRules({ mode: 'open' })
    expect(await world.run(world.newSession().work())).toMatchObject({ status: 'completed' })
  })
})

describe('the kill switch', () => {
  test('ends everything at once with receipts for what was consumed, and takes nothing until it is resumed', async () => {
    await open()
    const session = world.newSession()
    const running = [await begin(session), await begin(session)]
    const waiting = session.work(STAYS)
    world.dispatch(waiting)
    await world.coordinator.next('heartbeat', ({ queued }) => queued === 1)
    await world.node.changeRules({ mode: 'killed' })
    for (const { executionId } of running) {
      const receipt = await world.receipt(executionId)
      expect(receipt).toMatchObject({ status: 'failed', reason: 'cancelled' })
      expect(receipt.effectiveMs).toBeGreaterThan(0)
      expect(receipt.costMicros).toBeGreaterThan(0n)
    }
    expect(await world.receipt(waiting.executionId)).toMatchObject({ reason: 'cancelled', costMicros: 0n })
    expect(await world.run(session.work())).toMatchObject({ reason: 'rejected', costMicros: 0n })
    await world.restart()
    expect(await world.run(session.work())).toMatchObject({ reason: 'rejected' })
    await world.node.changeRules({ mode: 'open' })
    expect(await world.run(session.work())).toMatchObject({ status: 'completed' })
  })

  test('works on a disk that takes nothing more: what cannot be kept is in force all the same, and said', async () => {
    await open()
    const session = world.newSession()
    const running = await begin(session)
    // A directory in the file's place refuses the write as a full disk does.
    await (await import('node:fs/promises')).mkdir(join(world.dataDir, 'rules.json.new'))
    await expect(world.node.changeRules({ mode: 'killed' })).rejects.toMatchObject({ code: 'setup_failed' })
    expect(await world.receipt(running.executionId)).toMatchObject({ reason: 'cancelled' })
    expect(world.node.rules()).toMatchObject({ mode: 'killed' })
  })
})

describe('the block-list', () => {
  test('refuses a payer’s work with its reason, and is known to the coordinator and over a restart', async () => {
    await open()
    const [blocked, other] = [world.newSession(), world.newSession()]
    await world.node.changeRules({ block: [blocked.channel.payer] })
    expect((await world.coordinator.next('admission')).admission.blocked).toEqual([blocked.channel.payer])
    await world.restart()
    const work = blocked.work()
    expect(await world.run(work)).toMatchObject({ reason: 'rejected', costMicros: 0n })
    expect(world.output(work.executionId)).toContain('payer_blocked')
    expect(await world.run(other.work())).toMatchObject({ status: 'completed' })
    await world.node.changeRules({ unblock: [blocked.channel.payer] })
    expect(await world.run(blocked.work())).toMatchObject({ status: 'completed' })
  })
})

describe('the caps', () => {
  test('bound runs at once, of all and of one session, and change while work waits', async () => {
    await open({ limits: { maxRuns: 3, maxSessionRuns: 1 } })
    const [one, other] = [world.newSession(), world.newSession()]
    await begin(one)
    await begin(other)
    world.dispatch(one.work(STAYS))
    await world.coordinator.next('heartbeat', ({ running, queued }) => running === 2 && queued === 1)
    await world.node.changeRules({ limits: { maxSessionRuns: null } })
    await world.coordinator.next('heartbeat', ({ running, queued }) => running === 3 && queued === 0)
    expect(world.node.status()).toMatchObject({ limits: { maxRuns: 3 }, slots: 3, sessionSlots: 3 })
  })

  test('refuse a session too many, and let those that are under way go on', async () => {
    await open({ limits: { maxSessions: 1 } })
    const [first, second] = [world.newSession(), world.newSession()]
    await world.run(first.work())
    const refused = second.work()
    expect(await world.run(refused)).toMatchObject({ reason: 'rejected' })
    expect(world.output(refused.executionId)).toContain('provider_full')
    expect(await world.run(first.work())).toMatchObject({ status: 'completed' })
    world.coordinator.send({ type: 'endSession', sessionId: first.sessionId })
    expect(await world.run(second.work())).toMatchObject({ status: 'completed' })
  })
})

describe('the file of the rules', () => {
  test('is never half written, and a damaged one keeps the node from starting as if there were no rules', async () => {
    await open()
    await world.node.changeRules({ mode: 'killed', limits: { maxRuns: 1 } })
    const path = join(world.dataDir, 'rules.json')
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({
      v: 1,
      mode: 'killed',
      blocked: [],
      limits: { maxRuns: 1 },
    })
    await writeFile(path, '{"v":1,"mode":"opne"}')
    await expect(world.restart()).rejects.toMatchObject({ code: 'setup_failed' })
  })
})
