import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256Hex } from '@orien/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { loadClaims } from '../claims/loadClaims.ts'
import { createProcessDriver } from '../sandbox/unsandboxed.ts'
import { startWorld, type World } from '../testing/world.ts'
import { changeRulesAtRest, countKeptWorkspaces } from './access.ts'

// What is tested is what the node does around a tool; development's driver spares each test the proof of a sandbox.
const unsandboxed = () => ({ driver: createProcessDriver(), allowUnisolated: true })
const QUICK = { reconnectMs: 10, reconnectMaxMs: 50, channelWaitMs: 200, channelRetryMs: 20 }

let world: World | undefined
afterEach(async () => {
  await world?.close()
  world = undefined
})

const script = (code: string) => ({ tool: 'script', args: { code } })
const STAYS = script('console.log("here"); setInterval(() => {}, 1000)')

async function begin(of: World, session: ReturnType<World['newSession']>) {
  const work = session.work(STAYS)
  of.dispatch(work)
  await of.coordinator.next('log', (message) => message.executionId === work.executionId)
  return work
}

describe('a node that is told to stop', () => {
  test('lets a run finish within its patience, and hands the receipt over before it hangs up', async () => {
    world = await startWorld({ ...unsandboxed(), timing: QUICK })
    const session = world.newSession()
    const work = session.work(script('console.log("here"); setTimeout(() => console.log("done"), 300)'))
    world.dispatch(work)
    await world.coordinator.next('log')
    await world.node.stop()
    expect(await world.receipt(work.executionId)).toMatchObject({ status: 'completed' })
    expect(world.output(work.executionId)).toBe('here\ndone\n')
  })

  test('kills what outlasts its patience, at no charge, ends what waits, and takes nothing new', async () => {
    world = await startWorld({ ...unsandboxed(), timing: { ...QUICK, drainMs: 200 } })
    const session = world.newSession()
    const running = [await begin(world, session), await begin(world, session)]
    const waiting = session.work(STAYS)
    world.dispatch(waiting)
    await world.coordinator.next('heartbeat', ({ queued }) => queued === 1)
    const stopped = world.node.stop()
    const late = world.newSession().work()
    world.dispatch(late)
    await stopped
    for (const { executionId } of [...running, waiting])
      expect(await world.receipt(executionId)).toMatchObject({ reason: 'sandbox_error', costMicros: 0n })
    expect(world.coordinator.received).not.toContainEqual(
      expect.objectContaining({ executionId: late.executionId }),
    )
  })

  test('keeps receipts for the next start when nobody takes them', async () => {
    world = await startWorld({ ...unsandboxed(), timing: { ...QUICK, flushMs: 50 } })
    world.coordinator.acknowledges = false
    const work = world.newSession().work()
    const first = await world.run(work)
    await world.restart()
    expect(await world.receipt(work.executionId)).toEqual(first)
  })
})

describe('the files of sessions, when their node is told to stop', () => {
  const KEEPS = script(`require('fs').writeFileSync('kept', 'of before')`)
  const READS = script(`console.log(require('fs').readFileSync('kept', 'utf8'))`)
  const workspacesOf = ({ dataDir }: World) => readdir(join(dataDir, 'workspaces'))

  /** What a run of the session prints that looks for the file of an earlier one. */
  async function look(of: World, session: ReturnType<World['newSession']>): Promise<string> {
    const { executionId } = await of.run(session.work(READS))
    return of.output(executionId)
  }

  test('stay for the next start while the session goes on, and are gone with it', async () => {
    world = await startWorld({ ...unsandboxed(), timing: QUICK })
    const [live, over] = [world.newSession(), world.newSession()]
    for (const session of [live, over]) await world.run(session.work(KEEPS))
    await world.restart()
    expect(await countKeptWorkspaces(world.dataDir)).toBe(2)
    expect(await look(world, live)).toBe('of before\n')
    world.coordinator.send({ type: 'endSession', sessionId: over.sessionId })
    // The next answer on this connection says that the end before it was heard.
    await world.run(live.work(KEEPS))
    await world.restart()
    expect(await countKeptWorkspaces(world.dataDir)).toBe(1)
    expect(await look(world, live)).toBe('of before\n')
  })

  test('stay in the middle of a drain as well, but not those of a session that never ran anything', async () => {
    world = await startWorld({ ...unsandboxed(), timing: QUICK })
    const { coordinator } = world
    const [used, unused] = [world.newSession(), world.newSession()]
    await world.run(used.work(KEEPS))
    const file = {
      requestId: 1,
      sessionId: unused.sessionId,
      name: 'early',
      bytes: 0,
      fromByte: 0,
      toByte: 0,
    }
    coordinator.send({ type: 'fileWrite', ...file })
    coordinator.send({ type: 'fileEnd', requestId: 1, sha256: sha256Hex('') })
    await coordinator.next('fileEnd')
    await world.restart()
    expect(await countKeptWorkspaces(world.dataDir)).toBe(2)
    await world.node.changeRules({ mode: 'draining' })
    await world.restart()
    expect(await countKeptWorkspaces(world.dataDir)).toBe(1)
    expect(await look(world, used)).toBe('of before\n')
  })

  test('are gone after a kill, whether the node ran at the time or not', async () => {
    world = await startWorld({ ...unsandboxed(), timing: QUICK })
    await world.run(world.newSession().work(KEEPS))
    await world.node.changeRules({ mode: 'killed' })
    await world.node.stop()
    expect(await workspacesOf(world)).toEqual([])
    await changeRulesAtRest(world.dataDir, { mode: 'open' })
    await world.restart()
    await world.run(world.newSession().work(KEEPS))
    await world.node.stop()
    expect(await workspacesOf(world)).toHaveLength(2)
    await changeRulesAtRest(world.dataDir, { mode: 'killed' })
    expect(await workspacesOf(world)).toEqual([])
  })
})

describe('receipts that the coordinator refuses', () => {
  test('are shown to the owner and not sent again; those it could not take just now are', async () => {
    world = await startWorld({ ...unsandboxed(), timing: { ...QUICK, receiptRetryMs: 20 } })
    const { coordinator, node } = world
    coordinator.acknowledges = false
    const work = world.newSession().work()
    const { executionId } = await world.run(work)
    coordinator.send({ type: 'receiptRefused', executionId, code: 'overloaded', detail: 'later' })
    await world.receipt(executionId)
    coordinator.send({ type: 'receiptRefused', executionId, code: 'receipt_disputed', detail: 'too long' })
    coordinator.drop()
    const hello = await coordinator.next('hello')
    expect(hello.inHand).not.toContain(executionId)
    expect(node.health()).toMatchObject({
      unacknowledgedReceipts: 0,
      refusedReceipts: [{ executionId, code: 'receipt_disputed', detail: 'too long' }],
    })
  })

  test('an acknowledgement that is not over our receipt does not make the node forget it', async () => {
    world = await startWorld({ ...unsandboxed(), timing: QUICK })
    const { coordinator } = world
    coordinator.acknowledges = false
    const { executionId } = await world.run(world.newSession().work())
    coordinator.send({ type: 'receiptAck', executionId, countersignature: 'x' })
    coordinator.drop()
    expect((await coordinator.next('hello')).inHand).toContain(executionId)
  })
})

describe('a payer that takes its deposit back in the middle of a run', () => {
  test('ends the session’s work, paid up to there', async () => {
    world = await startWorld({ ...unsandboxed(), timing: { ...QUICK, channelFreshMs: 50 } })
    const session = world.newSession()
    const work = await begin(world, session)
    if (session.state) session.state.closeRequestedAt = 1
    const receipt = await world.receipt(work.executionId)
    expect(receipt).toMatchObject({ reason: 'authorization_expired' })
    expect(receipt.costMicros).toBeGreaterThan(0n)
  })
})

describe('what stays on the disk', () => {
  test('the output of a run is gone with the acknowledgement of its receipt', async () => {
    world = await startWorld({ ...unsandboxed(), timing: QUICK })
    const session = world.newSession()
    await world.run(session.work(script('console.log("secret")')))
    await world.run(session.work())
    const outputs = await readdir(join(world.dataDir, 'output'))
    expect(outputs.length).toBeLessThanOrEqual(1)
  })

  test('what a provider can claim without the coordinator is read from the journal', async () => {
    world = await startWorld({ ...unsandboxed(), timing: QUICK })
    const session = world.newSession()
    const receipt = await world.run(session.work())
    await world.run(world.newSession().work({ voucher: session.voucher(1n) }))
    expect(await loadClaims(world.dataDir)).toEqual([
      {
        sessionId: session.sessionId,
        channel: session.channel,
        voucher: session.voucher(100_000n),
        earnedMicros: receipt.cumulativeMicros,
        openRuns: 0,
        closed: false,
      },
    ])
  })
})
