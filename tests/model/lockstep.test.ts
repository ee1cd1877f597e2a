import { afterAll, beforeAll, test } from 'vitest'
import { histories, patienceMs } from '../harness/config.ts'
import { HISTORIES, playHistories } from './lockstep.ts'
import { openWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

test('coordinator and reference agree on every answer, every event and every amount of any history', {
  timeout: patienceMs(120_000),
}, async () => {
  await playHistories(world, { numRuns: histories(HISTORIES) })
})
