import { createPool } from '@orien/coordinator'
import { channelId, getSolvency, micros, partialClaim } from '@orien/protocol'
import { createWalletClient, http } from 'viem'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../apps/coordinator/src/clock.ts'
import { orienEscrowAbi } from '../../packages/contracts/src/index.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode
let agent: TestAgent

beforeAll(async () => {
  // Nobody looks at the chain by itself: what a reader is told is found out for him.
  stack = await startStack({ channelLookMs: 3_600_000 }, undefined, { clock })
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 5_000_000n)
})
afterAll(() => stack.stop())

const BUDGET = 1_000_000n

/** An answer is given again for two seconds: each question comes later than that. */
let laterMs = 0
const clock = { ...systemClock, now: () => new Date(systemClock.now().getTime() + laterMs) }

function read() {
  laterMs += 2_001
  return agent.orien.call(getSolvency, {})
}

test('owes nothing and says so before there was a deposit', async () => {
  expect(await read()).toMatchObject({
    isSolvent: true,
    liabilities: {
      budgetsMicros: 0n,
      payablesMicros: 0n,
      earningsMicros: 0n,
      reserveMicros: 0n,
      custodialMicros: 0n,
    },
    holdings: { escrowMicros: 0n, custodyMicros: 0n },
  })
})

test('shows budgets and payables beside the escrow, to the micro-USDC, and the reserve after a settlement', async () => {
  const { providerId } = node
  const session = await agent.orien.openSession({ providerId, budgetMicros: micros(BUDGET) })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  await node.finish(await node.dispatchOf(run.id), 100)
  const { costMicros } = await run.wait()
  expect(await read()).toMatchObject({
    isSolvent: true,
    liabilities: { budgetsMicros: BUDGET - costMicros, payablesMicros: costMicros, reserveMicros: 0n },
    holdings: { escrowMicros: BUDGET, reserveMicros: 0n },
  })
  await session.end()
  const { settlement } = await session.settled()
  const { reserveMicros = 0n } = settlement ?? {}
  expect(reserveMicros).toBeGreaterThan(0n)
  expect(await read()).toMatchObject({
    isSolvent: true,
    liabilities: { budgetsMicros: 0n, payablesMicros: 0n, earningsMicros: 0n, reserveMicros },
    holdings: { escrowMicros: 0n, reserveMicros },
  })
})

test('what a provider has claimed of a channel that goes on is no hole, and not a micro-USDC more', async () => {
  const { providerId, owner } = node
  const before = await read()
  const session = await agent.orien.openSession({ providerId, budgetMicros: micros(BUDGET) })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  const { channel, voucher } = await node.dispatchOf(run.id)
  await node.finish(await node.dispatchOf(run.id), 100)
  const { costMicros } = await run.wait()
  await stack.chain.fund(owner.address)
  const wallet = createWalletClient({ account: owner, chain: foundry, transport: http(stack.chain.rpcUrl) })
  const claim = { address: channel.escrow, abi: orienEscrowAbi, functionName: 'claim' } as const
  const { cumulativeMicros, signature } = voucher
  await wallet.writeContract({
    ...claim,
    args: [channelId(channel), costMicros, cumulativeMicros, signature],
  })
  const claimed = partialClaim(costMicros)
  expect(claimed).toBeGreaterThan(0n)
  const { liabilities, holdings, settlingMicros, isSolvent } = await read()
  expect({ isSolvent, settlingMicros }).toEqual({ isSolvent: true, settlingMicros: claimed })
  expect(holdings.escrowMicros).toBe(before.holdings.escrowMicros + BUDGET - claimed)
  expect(liabilities.budgetsMicros + liabilities.payablesMicros).toBe(
    before.liabilities.budgetsMicros + before.liabilities.payablesMicros + BUDGET,
  )
  await session.end()
  await session.settled()
  expect(await read()).toMatchObject({ isSolvent: true, settlingMicros: 0n })
})

test('a ledger that owes more than the chain holds is insolvent, by one micro-USDC', async () => {
  const pool = createPool({ url: stack.database.url, connections: 1 })
  await pool.query(
    `insert into ledger_transfers (kind, reference, session_id, accounts, amounts_micros)
      values ('deposit', 'invented', 'none', array['rails:escrow:inbound', 'sessions:none:budget'], array[-1, 1])`,
  )
  await pool.end()
  expect(await read()).toMatchObject({ isSolvent: false, liabilities: { budgetsMicros: 1n } })
})
