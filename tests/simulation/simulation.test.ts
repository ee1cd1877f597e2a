import { expect, test } from 'vitest'
import { histories, patienceMs, seed } from '../harness/config.ts'
import { simulate } from './simulation.ts'
import type { DiskFlaw } from './store.ts'

const HISTORIES = 40
const EVENTS = 150

test('node and coordinator account for every run once, whatever is lost, killed and cut in between', {
  timeout: patienceMs(120_000),
}, async () => {
  const sums = { paidRuns: 0, longRuns: 0 }
  for (let history = 0; history < histories(HISTORIES); history += 1) {
    const { paidRuns, longRuns } = await simulate(seed + history, EVENTS)
    sums.paidRuns += paidRuns
    sums.longRuns += longRuns
  }
  // Histories in which nothing is earned, or no run goes on over several grants, would show little.
  expect(sums.paidRuns).toBeGreaterThan(2 * histories(HISTORIES))
  expect(sums.longRuns).toBeGreaterThan(0)
})

test('a seed is one history: played again, it is the same to the byte', async () => {
  expect(await simulate(seed, EVENTS)).toEqual(await simulate(seed, EVENTS))
})

test.each<DiskFlaw>(['keeps nothing it said it kept', 'says kept before it is'])(
  'a disk that %s is found out',
  { timeout: 120_000 },
  async (flaw) => {
    const play = async () => {
      for (let history = 0; history < HISTORIES; history += 1) await simulate(seed + history, EVENTS, flaw)
    }
    await expect(play()).rejects.toThrow(/seed \d+, after \d+ events/)
  },
)
