import { afterAll, beforeAll, expect, test } from 'vitest'
import { requireAudit, requireSame } from './books.ts'
import { setStage } from './lockstep.ts'
import type { Operation } from './operations.ts'
import { type Scene, step } from './step.ts'
import { openWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

/** Ten micro-USDC a millisecond, and a hundred seconds of budget. */
const PLAIN = { provider: 3, purse: 5 }

async function play(history: readonly Operation[]): Promise<Scene> {
  const scene = await setStage(world, [PLAIN, PLAIN])
  for (const operation of history) {
    await step(scene, operation)
    await requireSame(
      world.pool,
      scene.places.map(({ model }) => model),
    )
  }
  await step(scene, { do: 'sweep' })
  await requireAudit(world.pool)
  return scene
}

const run = { session: 0, run: 0 } as const
const submit = (key: number, session = 0): Operation => {
  return { do: 'submit', session, key, tool: 1, note: '', cap: 'none', voucher: 'needed' }
}
const receipt = (turn: number, effort: 'one' | 'rejected' = 'one'): Operation => {
  return { do: 'receipt', session: 0, run: turn, effort, lie: 'none', wasStarted: false }
}
const final: Operation = { do: 'chain', session: 0, isSuccess: true }

test('a run that was refused before the session was started stays refused after it', async () => {
  const scene = await play([submit(0, 1), { do: 'start', session: 1 }, submit(0, 1), submit(1, 1)])
  expect(scene.places[1]?.model.runs.size).toBe(1)
})

test('a receipt that comes after the claim is unpaid, and the settlement still agrees with the chain', async () => {
  const scene = await play([
    ...([submit(0), submit(1), final, { do: 'pass', ms: 5 }, receipt(0)] as Operation[]),
    ...([
      { do: 'end', session: 0 },
      { do: 'lease', ...run, run: 1, isOver: true },
      { do: 'sweep' },
    ] as Operation[]),
    ...([{ do: 'claim' }, receipt(1), final] as Operation[]),
  ])
  expect(scene.places[0]?.model).toMatchObject({ status: 'settled', spentMicros: 10n })
})

test('a receipt that comes after the settlement is unpaid, and a free one is recorded', async () => {
  const ending: Operation[] = [
    { do: 'end', session: 0 },
    { do: 'lease', ...run, isOver: true },
    { do: 'sweep' },
  ]
  const settled: Operation[] = [
    submit(0),
    submit(1),
    final,
    { do: 'pass', ms: 5 },
    ...ending,
    { do: 'claim' },
    final,
  ]
  const free = await play([...settled, receipt(0, 'rejected')])
  expect(free.places[0]?.model).toMatchObject({ status: 'settled', receipts: 1, spentMicros: 0n })
  const paid = await play([...settled, receipt(0)])
  expect(paid.places[0]?.model).toMatchObject({ status: 'settled', receipts: 0, spentMicros: 0n })
})

test('a receipt of a session that never had its deposit is unpaid', async () => {
  const scene = await play([
    submit(0),
    { do: 'chain', session: 0, isSuccess: false },
    { do: 'pass', ms: 5 },
    receipt(0),
  ])
  expect(scene.places[0]?.model).toMatchObject({ status: 'failed', spentMicros: 0n })
})

test('another request under a refused key is a conflict, whatever else is wrong with it', async () => {
  const asked = {
    do: 'submit',
    session: 0,
    key: 3,
    tool: 1,
    note: '',
    cap: 'one',
    voucher: 'needed',
  } as const
  await play([asked, { ...asked, note: 'other', voucher: 'over' }, { ...asked, voucher: 'over' }])
})
