import { expect, test } from 'vitest'
import { patienceMs } from '../harness/config.ts'
import { HISTORIES, playHistories } from './lockstep.ts'
import { install, MUTANTS } from './mutants.ts'
import { openWorld } from './world.ts'

test.each(MUTANTS)('the model sees it when $mistake', { timeout: patienceMs(120_000) }, async (mutant) => {
  const world = await openWorld((pool) => install(pool, mutant))
  try {
    // The same histories every time: whether a mutant is seen must not be left to chance.
    const plan = { numRuns: HISTORIES, seed: 1, endOnFailure: true }
    await expect(playHistories(world, plan)).rejects.toThrow(/Property failed/)
  } finally {
    await world.close()
  }
})
