import type { PrivateKeyAccount } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeBatch } from '../encodeBatch.ts'
import { BATCH_LIMITS, type BatchPlan, planBatches } from '../planBatches.ts'
import { readBatchLogs } from '../readBatch.ts'
import { newKeys, openFleet, signBatch } from '../testing/fleet.ts'
import { openWorld, type World } from '../testing/world.ts'

const providerCount = 10
/** What one transaction holds of that many providers, see the table in `planBatches.test.ts`. */
const channelCount = 253

let world: World
let relayer: PrivateKeyAccount
let plan: BatchPlan<Awaited<ReturnType<typeof openPlan>>[number]>

/** Nobody in it was ever paid: every refund and every credit is a first one. */
async function openPlan() {
  const providers = newKeys(providerCount)
  const fleet = await openFleet(world, relayer, { channels: channelCount, providers, depositMicros: 1_000n })
  return fleet.channels.map((channel) => ({
    ...{ channel, payee: channel.payee.address, payer: channel.payer.address },
  }))
}

beforeAll(async () => {
  world = await openWorld()
  relayer = await world.actor()
  const plans = planBatches(await openPlan())
  expect(plans).toHaveLength(1)
  const [only] = plans
  if (only) plan = only
}, 120_000)
afterAll(() => world.close())

/** Sends the whole plan with the gas that was planned, on a chain that forgets it afterwards. */
async function close() {
  const { escrow } = world.chain
  const groups = plan.groups.map(({ claims }) => claims.map(({ channel }) => channel))
  const batches = await Promise.all(groups.map((group) => signBatch(world, 'CloseBatch', group, 500n, 900n)))
  const { data } = encodeBatch(escrow, 'CloseBatch', batches)
  expect((data.length - 2) / 2).toBe(plan.calldataBytes)
  const mined = await world.sendWithGas(relayer, data, plan.gas)
  expect(mined.status).toBe('success')
  return { ...readBatchLogs(escrow, mined.logs), gasUsed: mined.gasUsed }
}

describe('a batch of the largest size', () => {
  test('with one blocklisted provider pays all others, within the gas that was planned', async () => {
    const id = await world.node.snapshot()
    const [blocked, ...others] = plan.groups
    if (blocked === undefined) return expect.fail('providers')
    await world.tokenOwner('blacklist', [blocked.payee])
    const { credited, closed, refused } = await close()
    const owed = 450n * BigInt(blocked.claims.length)
    expect([credited, closed.length, refused]).toEqual([
      [{ account: expect.stringMatching(new RegExp(blocked.payee, 'i')), micros: owed }],
      channelCount,
      [],
    ])
    for (const { payee, claims } of others) {
      expect(await world.balance(payee)).toBe(450n * BigInt(claims.length))
    }
    for (const { payer } of blocked.claims) expect(await world.balance(payer)).toBe(500n)
    await world.node.revert({ id })
  })

  test('whose every payment becomes a new credit, because the token is paused, stays below the cap', async () => {
    const id = await world.node.snapshot()
    await world.tokenOwner('pause')
    const { credited, closed, gasUsed } = await close()
    expect([credited.length, closed.length]).toEqual([channelCount + providerCount + 2, channelCount])
    expect(gasUsed < BATCH_LIMITS.gas).toBe(true)
    // The plan is an upper bound, and a near one.
    expect(gasUsed + 208_000n <= plan.gas && gasUsed * 100n > plan.gas * 85n, `${gasUsed}`).toBe(true)
    await world.node.revert({ id })
  })
})
