import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Hex, micros, receiptFault, sha256Hex, type UsdcMicros, ZERO } from '@orien/protocol'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { HOLD } from '../testing/agent.ts'
import { startWorld, type World } from '../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const script = (code: string) => ({ tool: 'script', args: { code } })
/** Says that it is there, then stays until it is killed. */
const STAYS = script('console.log("here"); setInterval(() => {}, 1000)')

async function begin(session: ReturnType<World['newSession']>) {
  const work = session.work(STAYS)
  world.dispatch(work)
  await world.coordinator.next('log', (message) => message.executionId === work.executionId)
  return work
}

describe('a run', () => {
  test('ends in a signed receipt with its output, files and price, chained from the offer', async () => {
    const session = world.newSession()
    const code = 'require("fs").writeFileSync("out.txt", "made"); console.log("hi"); console.error("there")'
    const work = session.work(script(code))
    const receipt = await world.run(work)
    expect(receipt).toMatchObject({ status: 'completed', exitCode: 0, sequence: 1, previous: work.offerHash })
    expect(receipt.outputs).toEqual([{ name: 'out.txt', bytes: 4, sha256: sha256Hex('made') }])
    expect(receipt.logHash).toBe(sha256Hex(world.output(work.executionId)))
    expect(receiptFault(receipt, { sequence: 0, hash: work.offerHash, cumulativeMicros: ZERO })).toBeNull()
    expect(receipt.costMicros).toBeGreaterThan(0n)
    expect(receipt.costMicros).toBeLessThanOrEqual(HOLD)
  })

  test('hashes the files that its arguments name as they were before it', async () => {
    const session = world.newSession()
    await world.run(session.work(script('require("fs").writeFileSync("in.txt", "input")')))
    const receipt = await world.run(session.work({ args: { file: 'in.txt' } }))
    expect(receipt.inputs).toEqual([{ name: 'in.txt', bytes: 5, sha256: sha256Hex('input') }])
    expect(world.output(receipt.executionId)).toContain('"/workspace/in.txt"')
  })

  test('over a file that is not there is rejected, free of charge, and says why', async () => {
    const receipt = await world.run(world.newSession().work({ args: { file: 'gone.txt' } }))
    expect(receipt).toMatchObject({ status: 'failed', reason: 'rejected', effectiveMs: 0, costMicros: 0n })
    expect(world.output(receipt.executionId)).toContain('not_found')
  })

  test('that fails by itself says so and is paid for', async () => {
    const receipt = await world.run(world.newSession().work(script('process.exit(3)')))
    expect(receipt).toMatchObject({ status: 'failed', reason: 'nonzero_exit', exitCode: 3 })
    expect(receipt.costMicros).toBeGreaterThan(0n)
  })

  test('stops on its grant, and costs exactly its hold', async () => {
    const receipt = await world.run(world.newSession().work({ ...STAYS, holdMicros: micros(3_000n) }))
    expect(receipt).toMatchObject({
      reason: 'budget_exhausted',
      deadlineMs: 300,
      effectiveMs: 300,
      costMicros: 3_000n,
    })
  })

  test('sees nothing of the node: no environment, no data directory, no key', async () => {
    const code = `console.log(JSON.stringify([process.env, require("fs").existsSync(${JSON.stringify(world.dataDir)})]))`
    const receipt = await world.run(world.newSession().work(script(code)))
    const [env, seesDataDir] = JSON.parse(world.output(receipt.executionId))
    expect(Object.keys(env).sort()).toEqual(['HOME', 'LANG', 'PATH', 'TMPDIR'])
    expect(seesDataDir).toBe(false)
  })
})

describe('messages twice, late or out of order', () => {
  test('a dispatch that comes twice at once runs once', async () => {
    const session = world.newSession()
    const append = script('require("fs").appendFileSync("count", "x"); console.log("one")')
    const work = session.work(append)
    world.dispatch(work)
    world.dispatch(work)
    await world.receipt(work.executionId)
    world.dispatch(work)
    const count = await world.run(
      session.work(script('console.log(require("fs").readFileSync("count", "utf8"))')),
    )
    expect(world.output(count.executionId)).toBe('x\n')
    expect(count.sequence).toBe(2)
  })

  test('a dispatch after its receipt, which nobody acknowledged, is answered with the very same receipt', async () => {
    world.coordinator.acknowledges = false
    const work = world.newSession().work()
    const isOurs = (message: { executionId: string }) => message.executionId === work.executionId
    world.dispatch(work)
    const first = await world.coordinator.next('receipt', isOurs)
    world.dispatch(work)
    const second = await world.coordinator.next('receipt', isOurs)
    world.coordinator.acknowledges = true
    world.coordinator.acknowledge(first.jws)
    expect(second.jws).toBe(first.jws)
  })

  test('a cancel that overtakes its dispatch still counts: nothing is executed, nothing is charged', async () => {
    const work = world.newSession().work(script('console.log("ran")'))
    world.coordinator.send({ type: 'cancel', executionId: work.executionId })
    expect(await world.run(work)).toMatchObject({ reason: 'cancelled', effectiveMs: 0, costMicros: 0n })
    expect(world.output(work.executionId)).toBe('')
  })

  test('what is no message of the protocol changes nothing', async () => {
    for (const text of ['', '{', '[]', '{"type":"dispatch"}', '{"type":"cancel","executionId":"x","more":1}'])
      world.coordinator.sendText(text)
    expect(await world.run(world.newSession().work())).toMatchObject({ status: 'completed' })
  })
})

describe('stopping', () => {
  test('a cancelled run is killed at once and paid up to its kill', async () => {
    const work = await begin(world.newSession())
    world.coordinator.send({ type: 'cancel', executionId: work.executionId })
    const receipt = await world.receipt(work.executionId)
    expect(receipt).toMatchObject({ reason: 'cancelled', exitCode: null })
    expect(receipt.effectiveMs).toBeGreaterThan(0)
    expect(receipt.costMicros).toBeLessThan(HOLD)
  })

  test('the end of a session kills what runs, ends what waits for nothing, and takes no more work', async () => {
    const session = world.newSession()
    const running = [await begin(session), await begin(session)]
    const waiting = session.work(STAYS)
    world.dispatch(waiting)
    world.coordinator.send({ type: 'endSession', sessionId: session.sessionId })
    for (const work of running)
      expect(await world.receipt(work.executionId)).toMatchObject({ reason: 'cancelled' })
    expect(await world.receipt(waiting.executionId)).toMatchObject({ reason: 'cancelled', costMicros: 0n })
    const late = await world.run(session.work())
    expect(late).toMatchObject({ reason: 'rejected', costMicros: 0n, sequence: 4 })
    expect(world.output(late.executionId)).toContain('session_not_active')
  })

  test('a forgotten session leaves no file behind', async () => {
    const session = world.newSession()
    await world.run(session.work(script('require("fs").writeFileSync("secret", "s")')))
    world.coordinator.send({ type: 'forgetSession', sessionId: session.sessionId })
    world.coordinator.send({ type: 'fileList', requestId: 1, sessionId: session.sessionId })
    expect(await world.coordinator.next('failure')).toMatchObject({ code: 'workspace_gone' })
  })

  test('a forgotten session leaves no output behind, whose receipt nobody has acknowledged', async () => {
    const session = world.newSession()
    world.coordinator.acknowledges = false
    const { executionId } = await world.run(session.work())
    world.coordinator.acknowledges = true
    const isKept = () => readdirSync(join(world.dataDir, 'output')).includes(executionId)
    expect(isKept()).toBe(true)
    world.coordinator.send({ type: 'forgetSession', sessionId: session.sessionId })
    await vi.waitFor(() => expect(isKept()).toBe(false))
  })
})

describe('more work than slots', () => {
  test('waits its turn unbilled, and another session is served in between', async () => {
    const [greedy, modest] = [world.newSession(), world.newSession()]
    const blockers = [await begin(greedy), await begin(greedy)]
    const queued = [greedy.work(STAYS), greedy.work(STAYS)]
    const fair = modest.work()
    for (const work of [...queued, fair]) world.dispatch(work)
    world.coordinator.send({ type: 'cancel', executionId: blockers[0]?.executionId as never })
    world.coordinator.send({ type: 'cancel', executionId: blockers[1]?.executionId as never })
    const receipt = await world.receipt(fair.executionId)
    expect(receipt.status).toBe('completed')
    expect(receipt.effectiveMs).toBeLessThan(
      Date.parse(receipt.endedAt) - Date.parse(receipt.startedAt) + 1_000,
    )
    world.coordinator.send({ type: 'endSession', sessionId: greedy.sessionId })
    for (const work of queued)
      expect(await world.receipt(work.executionId)).toMatchObject({ reason: 'cancelled' })
  })
})

describe('money', () => {
  test('parallel runs never lean on the same part of a voucher', async () => {
    const session = world.newSession()
    const voucher = session.voucher(HOLD + HOLD)
    const works = Array.from({ length: 5 }, () => session.work({ ...STAYS, voucher }))
    for (const work of works) world.dispatch(work)
    const receipts = works.map((work) => world.receipt(work.executionId))
    const refused = await Promise.all(receipts.slice(2))
    for (const receipt of refused) expect(receipt).toMatchObject({ reason: 'rejected', costMicros: 0n })
    world.coordinator.send({ type: 'endSession', sessionId: session.sessionId })
    for (const receipt of await Promise.all(receipts.slice(0, 2))) expect(receipt.reason).toBe('cancelled')
  })

  test('a disputed receipt ends the session, which is closed at the last sum that both sides stand behind', async () => {
    const session = world.newSession()
    const { coordinator } = world
    const agreed = await world.run(session.work())
    coordinator.acknowledges = false
    const disputed = await world.run(session.work())
    const { sessionId, channel } = session
    const ask = (claimMicros: UsdcMicros) => {
      const claims = [{ sessionId, channel, claimMicros }]
      coordinator.send({ type: 'claimRequest', requestId: 7, claims, deadline: 2_000_000_000 })
      return coordinator.next('claim')
    }
    const refused = [{ sessionId, code: 'receipt_mismatch' }]
    expect(await ask(agreed.cumulativeMicros)).toMatchObject({ refused })
    const { executionId } = disputed
    coordinator.send({ type: 'receiptRefused', executionId, code: 'receipt_disputed', detail: 'too long' })
    const after = session.work()
    expect(await world.run(after)).toMatchObject({ reason: 'rejected' })
    expect(await ask(disputed.cumulativeMicros)).toMatchObject({ refused })
    const closed = await ask(agreed.cumulativeMicros)
    expect(closed).toMatchObject({ refused: [] })
    expect(closed.signature).toBeDefined()
    coordinator.acknowledges = true
  })

  test('a claim is signed at exactly the sum of the receipts, and ends the session', async () => {
    const session = world.newSession()
    const earned = [await world.run(session.work()), await world.run(session.work())]
    const sum = earned.reduce((total, receipt) => total + receipt.costMicros, 0n)
    const { sessionId, channel } = session
    const ask = (requestId: number, claimMicros: bigint) => {
      const claims = [{ sessionId, channel, claimMicros: micros(claimMicros) }]
      world.coordinator.send({ type: 'claimRequest', requestId, claims, deadline: 2_000_000_000 })
      return world.coordinator.next('claim')
    }
    const refused = [{ sessionId, code: 'receipt_mismatch' }]
    expect(await ask(1, sum - 1n)).toMatchObject({ requestId: 1, refused })
    const claim = await ask(2, sum)
    expect(claim).toMatchObject({ requestId: 2, refused: [] })
    expect((claim.signature as Hex).length).toBe(132)
    expect(await world.run(session.work())).toMatchObject({ reason: 'rejected' })
  })
})
