import { createPool } from '@orien/coordinator'
import { getProvider, micros, type ProviderView } from '@orien/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { query } from '../../apps/coordinator/src/db/embedded/fixtures/faults.ts'
import { endLease } from '../harness/leases.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
})
afterAll(() => stack.stop())

const seenBy = async (agent: TestAgent): Promise<ProviderView['reputation']> =>
  (await agent.orien.call(getProvider, { params: { id: node.providerId } })).reputation

/** A settled session with one run that costs so much, at 1,000 micro-USDC a millisecond. */
async function pay(agent: TestAgent, effectiveMs: number, reason?: 'nonzero_exit'): Promise<bigint> {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
  })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  const failure = reason ? { status: 'failed', reason, exitCode: 1 } : {}
  await node.finish(await node.dispatchOf(run.id), effectiveMs, failure as never)
  await run.wait()
  await session.end()
  return (await session.settled()).consumedMicros
}

test('is computed from what was settled: sessions, runs, reasons, payers and the fees that did not come back', async () => {
  const [first, second] = [await createAgent(stack, 5_000_000n), await createAgent(stack, 5_000_000n)]
  expect(await seenBy(first)).toMatchObject({ reliability: 0.5, weightMicros: 0n, payers: 0, failures: {} })
  const paid = [await pay(first, 7), await pay(first, 11), await pay(second, 13, 'nonzero_exit')]
  const fees = paid.reduce((sum, spent) => sum + spent - (spent * 9_000n) / 10_000n, 0n)
  const seen = await seenBy(first)
  expect(seen).toMatchObject({
    completedSessions: 3,
    completedExecutions: 2,
    failedExecutions: 1,
    // The tool failed, not the provider: reliability does not suffer.
    failures: { nonzero_exit: 1 },
    payers: 2,
    feesMicros: fees,
    weightMicros: fees,
  })
  expect(seen.reliability).toBeGreaterThanOrEqual(0.5)
})

test('a lost run counts against it with what it would have paid, also when nobody else ever paid', async () => {
  const agent = await createAgent(stack, 5_000_000n)
  const before = await seenBy(agent)
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
  })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  await node.dispatchOf(run.id)
  // Its lease is over and the node has said nothing.
  const pool = createPool({ url: stack.database.url, connections: 1 })
  await endLease(pool, '1 hour', run.id).finally(() => pool.end())
  expect((await run.wait()).reason).toBe('lost')
  const after = await seenBy(agent)
  expect(after.failures).toMatchObject({ lost: 1 })
  expect(after.weightMicros - before.weightMicros).toBe(2_000n)
  expect(after.reliability).toBeLessThanOrEqual(before.reliability)
})

test('uptime is the time between heartbeats that were not too far apart', async () => {
  const agent = await createAgent(stack, 1_000_000n)
  const beat = () => query(stack.database.url, `select reputation_beat('${node.providerId}', 15000)`)
  const heardAgo = (interval: string) =>
    query(
      stack.database.url,
      `update providers set last_seen_at = clock_timestamp() - interval '${interval}',
        registered_at = now() - interval '10 hours' where id = '${node.providerId}'`,
    )
  await query(stack.database.url, 'delete from provider_uptime')
  await heardAgo('1 hour')
  await beat()
  expect((await seenBy(agent)).uptime).toEqual({ share: 0, hours: 0 })
  await query(
    stack.database.url,
    `insert into provider_uptime values ('${node.providerId}', current_date, 18000000)
      on conflict (provider_id, day) do update set online_ms = 18000000`,
  )
  await heardAgo('10 seconds')
  await beat()
  const { share, hours } = (await seenBy(agent)).uptime
  expect(hours).toBe(5)
  expect(share).toBeGreaterThanOrEqual(0.5)
  expect(share).toBeLessThan(0.51)
})
