import { type Dispatch, type Extension, micros, type Voucher } from '@orien/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { createProcessDriver } from '../sandbox/unsandboxed.ts'
import type { TestSession } from '../testing/agent.ts'
import { startWorld, type World } from '../testing/world.ts'

// What is tested is what the node does around a tool; development's driver spares each test the proof of a sandbox.
const unsandboxed = () => ({ driver: createProcessDriver(), allowUnisolated: true })

let world: World | undefined
afterEach(async () => {
  await world?.close()
  world = undefined
})

/** A tenth of a second at ten micro-USDC a millisecond, of at most twenty seconds. */
const STEP = micros(1_000n)
const STEP_MS = 100
const MOST = micros(200_000n)
const script = (code: string) => ({ tool: 'script', args: { code } })
const STAYS = script('setInterval(() => {}, 1000)')
/** Outlasts its first grant on any machine. */
const LASTS = script('setTimeout(() => console.log("done"), 250)')

const begin = (session: TestSession, of: Partial<Dispatch>) =>
  session.work({
    voucher: session.voucher(STEP),
    ...of,
    holdMicros: STEP,
    deadlineMs: STEP_MS,
    mostMicros: MOST,
  })

const raise = (
  { executionId, sessionId }: Dispatch,
  to: { holdMicros: bigint; voucher: Voucher; deadlineMs?: number },
): Extension => ({
  executionId,
  sessionId,
  holdMicros: micros(to.holdMicros),
  deadlineMs: to.deadlineMs ?? Number(to.holdMicros / 10n),
  voucher: to.voucher,
})

async function start() {
  world = await startWorld(unsandboxed())
  const session = world.newSession()
  const say = (extension: Extension) => world?.coordinator.send({ type: 'extend', extension })
  return { world, session, say }
}

const EXPIRED = { status: 'failed', reason: 'authorization_expired', costMicros: STEP, effectiveMs: STEP_MS }

describe('a run that goes in steps', () => {
  test('goes on when its grant is raised, and its receipt names the raised one', async () => {
    const { world, session, say } = await start()
    const work = begin(session, LASTS)
    world.dispatch(work)
    const raised = raise(work, { holdMicros: 100_000n, voucher: session.voucher(100_000n) })
    say(raised)
    say(raised)
    const receipt = await world.receipt(work.executionId)
    expect(receipt).toMatchObject({ status: 'completed', holdMicros: 100_000n, deadlineMs: 10_000 })
    expect(receipt.effectiveMs).toBeGreaterThan(STEP_MS)
    expect(receipt.costMicros).toBe(BigInt(receipt.effectiveMs) * 10n)
    expect(world.output(work.executionId)).toBe('done\n')
  })

  test('stops at its grant without one, is paid up to there, and says why', async () => {
    const { world, session } = await start()
    expect(await world.run(begin(session, STAYS))).toMatchObject({ ...EXPIRED, holdMicros: STEP })
  })

  test('that has had all it may cost ends like any other', async () => {
    const { world, session } = await start()
    const work = { ...begin(session, STAYS), mostMicros: STEP }
    expect(await world.run(work)).toMatchObject({ reason: 'budget_exhausted', costMicros: STEP })
  })

  test('tells of half of its grant when it is used up, and which grant that is', async () => {
    const { world, session } = await start()
    const work = begin(session, STAYS)
    world.dispatch(work)
    let told = await world.coordinator.next('meter')
    // A timer may fire a moment early; then it is told once more, at once.
    while (told.effectiveMs < STEP_MS / 2) told = await world.coordinator.next('meter')
    expect(told.deadlineMs).toBe(STEP_MS)
  })
})

describe('a grant is not raised', () => {
  const lies: [string, (work: Dispatch, session: TestSession, world: World) => Extension][] = [
    [
      'by a voucher that does not cover it',
      (work, session) => raise(work, { holdMicros: 100_000n, voucher: session.voucher(99_999n) }),
    ],
    [
      'by a voucher of another session',
      (work, _, world) =>
        raise(work, { holdMicros: 100_000n, voucher: world.newSession().voucher(100_000n) }),
    ],
    [
      'to a deadline that its hold does not pay for',
      (work, session) =>
        raise(work, { holdMicros: 50_000n, deadlineMs: 5_001, voucher: session.voucher(100_000n) }),
    ],
    [
      'above what the run was dispatched for',
      (work, session) =>
        raise(work, { holdMicros: MOST + 1n, deadlineMs: 20_000, voucher: session.voucher(MOST + 1n) }),
    ],
    [
      'above the deposit',
      (work, session) => {
        if (session.state) session.state.depositMicros = micros(99_999n)
        return raise(work, { holdMicros: 100_000n, voucher: session.voucher(100_000n) })
      },
    ],
    [
      'for another session',
      (work, session, world) => ({
        ...raise(work, { holdMicros: 100_000n, voucher: session.voucher(100_000n) }),
        sessionId: world.newSession().sessionId,
      }),
    ],
    [
      'to less than it is',
      (work, session) =>
        raise(work, { holdMicros: STEP - 1n, deadlineMs: 10_000, voucher: session.voucher(100_000n) }),
    ],
  ]

  test.each(lies)('%s', async (_, lie) => {
    const { world, session, say } = await start()
    const work = begin(session, STAYS)
    world.dispatch(work)
    say(lie(work, session, world))
    expect(await world.receipt(work.executionId)).toMatchObject({ ...EXPIRED, holdMicros: STEP })
  })

  test('when the run has ended, or was never begun', async () => {
    const { world, session, say } = await start()
    const work = begin(session, STAYS)
    const extension = raise(work, { holdMicros: 100_000n, voucher: session.voucher(100_000n) })
    say(extension)
    const receipt = await world.run(work)
    expect(receipt).toMatchObject(EXPIRED)
    say(extension)
    // The next run of the session is judged after it, and needs no more cover than if it had not been said.
    const next = session.work({ holdMicros: STEP, deadlineMs: STEP_MS, voucher: session.voucher(2n * STEP) })
    expect(await world.run(next)).toMatchObject({ sequence: 2, holdMicros: STEP })
  })

  test('by one voucher for two runs: what it covers is held once', async () => {
    const { world, session, say } = await start()
    const both = { ...STAYS, voucher: session.voucher(2n * STEP) }
    const works = [begin(session, both), begin(session, both)]
    for (const work of works) world.dispatch(work)
    for (const work of works) say(raise(work, { holdMicros: 3n * STEP, voucher: session.voucher(4n * STEP) }))
    const receipts = await Promise.all(works.map(({ executionId }) => world.receipt(executionId)))
    expect(receipts.map(({ holdMicros }) => holdMicros).sort()).toEqual([STEP, 3n * STEP])
  })
})
