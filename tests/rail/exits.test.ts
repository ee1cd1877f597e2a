import { auditLedger, createPool } from '@orien/coordinator'
import { channelId, type Hex, micros } from '@orien/protocol'
import { chains, connectChain, readBalance, readChannel } from '@orien/rails'
import {
  createTestClient,
  createWalletClient,
  encodeFunctionData,
  http,
  type LocalAccount,
  parseAbi,
} from 'viem'
import { foundry } from 'viem/chains'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

vi.setConfig({ testTimeout: 60_000 })

const abi = parseAbi([
  'function requestClose(bytes32 channelId)',
  'function close(bytes32 channelId, uint128 cumulativeAmount, bytes signature)',
])
const GRACE_SECONDS = 900
const BUDGET = 500_000n
/** So long after a provider's last word its agents leave. */
const GONE_MS = 3_000
/** … and after an agent's. */
const IDLE_MS = 120_000

let stack: Stack
let node: ScriptedNode
let agent: TestAgent

beforeAll(async () => {
  stack = await startStack({
    providerGoneMs: GONE_MS,
    sessionIdleMs: IDLE_MS,
    channelLookMs: 200,
    sweepEveryMs: 200,
  })
})
afterAll(() => stack.stop())
beforeEach(async () => {
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 5_000_000n)
})
afterEach(() => node.close())

const client = () => connectChain(chains.local, stack.chain.rpcUrl)
const balance = async () => {
  const reading = await readBalance(client(), stack.chain.usdc, agent.account.address)
  return reading.status === 'read' ? reading.micros : null
}
const anvil = () => createTestClient({ mode: 'anvil', chain: foundry, transport: http(stack.chain.rpcUrl) })

/** The agent's session with one run of so many milliseconds that has its receipt, and its channel. */
async function used(effectiveMs: number) {
  const session = await agent.orien.openSession({ providerId: node.providerId, budgetMicros: micros(BUDGET) })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  const work = await node.dispatchOf(run.id)
  await node.finish(work, effectiveMs)
  await run.wait()
  return { session, channel: channelId(work.channel) }
}

const phaseOf = async (channel: Hex) => {
  const reading = await readChannel(client(), stack.chain.escrow, channel)
  return reading.status === 'found' ? reading.channel.phase : reading.status
}
const untilPhase = (channel: Hex, phase: string) =>
  expect.poll(() => phaseOf(channel), { timeout: 30_000 }).toBe(phase)

async function pass(seconds: number): Promise<void> {
  await anvil().increaseTime({ seconds })
  await anvil().mine({ blocks: 1 })
}

async function drifts(): Promise<string[]> {
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const found = await auditLedger(pool)
  await pool.end()
  return found.filter(({ violations }) => violations > 0).map(({ check }) => check)
}

test('an agent whose provider is gone has all that was not claimed back after the grace period, and does nothing for it', async () => {
  const { session, channel } = await used(50)
  const before = await balance()
  node.close()
  await untilPhase(channel, 'closing')
  expect((await session.state()).status).toBe('completed')
  await pass(GRACE_SECONDS + 1)
  const view = await session.settled()
  expect(view).toMatchObject({ status: 'settled', consumedMicros: 500n })
  expect(view.settlement).toMatchObject({ status: 'final', claimMicros: 0n, refundedMicros: BUDGET })
  expect(await balance()).toBe((before ?? 0n) + BUDGET)
  expect(await drifts()).toEqual([])
})

test('an agent that vanishes in the middle of a run: its provider is paid for all of it, and the wallet gets the rest', async () => {
  const { providerId } = node
  const before = await balance()
  const session = await agent.orien.openSession({ providerId, budgetMicros: micros(BUDGET) })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  const work = await node.dispatchOf(run.id)
  // From here on nothing comes from the agent.
  await node.finish(work, 100)
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const status = async () =>
    (await pool.query('select status from sessions where id = $1', [session.id])).rows
  expect(await status()).toEqual([{ status: 'active' }])
  const past = `clock_timestamp() - interval '${IDLE_MS} milliseconds'`
  await pool.query(`update executions set created_at = ${past}, ended_at = ${past} where session_id = $1`, [
    session.id,
  ])
  await pool.query(`update sessions set started_at = ${past} where id = $1`, [session.id])
  await expect.poll(status, { timeout: 30_000 }).toEqual([{ status: 'settled' }])
  await pool.end()
  expect(await balance()).toBe((before ?? 0n) - 1_000n)
  expect((await session.state()).settlement).toMatchObject({ claimMicros: 1_000n, providerMicros: 900n })
})

test('a run that nobody accounts for does not hold up the refund', async () => {
  const session = await agent.orien.openSession({ providerId: node.providerId, budgetMicros: micros(BUDGET) })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  const work = await node.dispatchOf(run.id)
  node.close()
  await untilPhase(channelId(work.channel), 'closing')
  await pass(GRACE_SECONDS + 1)
  const view = await session.settled()
  expect(view.settlement).toMatchObject({ claimMicros: 0n, refundedMicros: BUDGET })
  expect(await drifts()).toEqual([])
})

test('a close that the agent forces on the chain ends its session, which is paid by its receipts in time', async () => {
  const { session, channel } = await used(50)
  await requestClose(channel)
  const view = await session.settled()
  expect(view.settlement).toMatchObject({ status: 'final', claimMicros: 500n, refundedMicros: BUDGET - 500n })
  expect(await drifts()).toEqual([])
})

test('a channel that somebody else has closed is settled by what the chain says', async () => {
  const { session, channel } = await used(50)
  await closeElsewhere(channel)
  await session.end()
  const view = await session.settled()
  expect(view.settlement).toMatchObject({ status: 'final', claimMicros: 0n, refundedMicros: BUDGET })
  expect(await drifts()).toEqual([])
})

/** The provider closes a channel by itself, at nothing. */
const closeElsewhere = (channel: Hex) =>
  callEscrow(node.owner, encodeFunctionData({ abi, functionName: 'close', args: [channel, 0n, '0x'] }))

/** The agent asks for the close of a channel by itself. */
const requestClose = (channel: Hex) =>
  callEscrow(agent.account, encodeFunctionData({ abi, functionName: 'requestClose', args: [channel] }))

async function callEscrow(account: LocalAccount, data: Hex): Promise<void> {
  await stack.chain.fund(account.address)
  const wallet = createWalletClient({ account, chain: foundry, transport: http(stack.chain.rpcUrl) })
  await wallet.sendTransaction({ to: stack.chain.escrow, data })
}

test('a session whose provider has closed the channel by itself ends without anybody asking for it', async () => {
  const { session, channel } = await used(50)
  await closeElsewhere(channel)
  const view = await session.settled()
  expect(view.settlement).toMatchObject({ status: 'final', claimMicros: 0n, refundedMicros: BUDGET })
  expect(await drifts()).toEqual([])
})

test('what happened to channels while no coordinator ran is noticed, however long ago on the chain it was', async () => {
  const [closed, asked] = [await used(50), await used(50)]
  await stack.coordinator.stop()
  await closeElsewhere(closed.channel)
  await requestClose(asked.channel)
  // Further back than the events that are looked through at a start.
  await anvil().mine({ blocks: 1_100 })
  // It has been stopped.
  stack.coordinator = { ...stack.coordinator, stop: async () => undefined }
  await stack.restart()
  const paid = await closed.session.settled()
  expect(paid.settlement).toMatchObject({ claimMicros: 0n, refundedMicros: BUDGET })
  await expect.poll(async () => (await asked.session.state()).status, { timeout: 20_000 }).not.toBe('active')
})
