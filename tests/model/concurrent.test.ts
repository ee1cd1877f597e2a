import { afterAll, beforeAll, expect, test } from 'vitest'
import { seed as firstSeed, histories, patienceMs } from '../harness/config.ts'
import { playCrowd } from './concurrent.ts'
import { openWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

test('agents and nodes at once, over connections that are cut, get one answer each and lose or double nothing', {
  timeout: patienceMs(180_000),
}, async () => {
  let cuts = 0
  for (let seed = firstSeed; seed < firstSeed + histories(8); seed += 1) {
    const played = await playCrowd(world, seed).catch((error: unknown) => {
      console.error(`ORIEN_TEST_SEED=${seed} asks and cuts the same again`)
      throw error
    })
    cuts += played.cuts
  }
  expect(cuts).toBeGreaterThan(0)
})
