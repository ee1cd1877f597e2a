import { afterAll, beforeAll, expect, test } from 'vitest'
import { runFuzz } from '../testing/fuzz/runFuzz.ts'
import { openWorld, type World } from '../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ closeGraceSeconds: 60n })
})
afterAll(() => world.close())

const verbs = [
  ...['open', 'openWithAuthorization', 'topUp', 'topUpWithAuthorization', 'settle', 'close', 'claim'],
  ...['claimAndClose', 'settleWithAuthorization', 'closeWithAuthorization', 'claimWithAuthorization'],
  ...['claimAndCloseWithAuthorization', 'ClaimBatch', 'CloseBatch', 'tryAll', 'requestClose', 'withdraw'],
  ...['requestCloseWithAuthorization', 'setOperator', 'setOperatorWithAuthorization', 'withdrawCredit'],
  ...['deliverCredit', 'blacklist', 'unBlacklist', 'pause', 'unpause'],
]

// 100,000 of them: node packages/rails/scripts/fuzzEscrow.ts
test('after every one of 5,000 random calls the escrow holds what it owes, and did what the rules say', async () => {
  const { calls, succeeded, counts } = await runFuzz(world, { seed: 1, calls: 5_000 })
  expect(calls).toBe(5_000)
  // Otherwise the calls would prove little.
  expect(succeeded).toBeGreaterThan(calls / 3)
  for (const verb of verbs) expect(counts.get(`${verb}: ok`), verb).toBeGreaterThan(5)
  expect(counts.size).toBeGreaterThan(verbs.length * 3)
}, 180_000)
