import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { auditLedger, createPool } from '@orien/coordinator'
import { channelId, getSolvency, type Hex, micros, partialClaim, splitCumulative } from '@orien/protocol'
import { loadClaims, loadEarnings, loadProvider, type OpenClaim, type Timing } from '@orien/provider-node'
import { chains, connectChain, readBalance, readChannel } from '@orien/rails'
import { type Session, verifyBillText } from '@orien/sdk'
import { createWalletClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { readKeyFile } from '../../apps/orien/src/agent/keyFile.ts'
import { spawnOrien } from '../../apps/orien/src/commands/fixtures/spawnOrien.ts'
import { orienEscrowAbi } from '../../packages/contracts/src/index.ts'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

// Real tools run, and the test waits for what the node does by itself.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 })

const BUDGET = 5_000_000n
/** As in production, but for how long a test can wait. */
const HASTY: Partial<Timing> = { channelFreshMs: 200, claimLookMs: 200, claimEveryMs: 1 }

let stack: Stack
let node: RealNode
let agent: TestAgent
let owner: Hex
let operator: Hex

const client = () => connectChain(chains.local, stack.chain.rpcUrl)
const until = (isSo: () => Promise<boolean>) =>
  expect.poll(isSo, { timeout: 60_000, interval: 50 }).toBe(true)

async function openSession(): Promise<Session> {
  return agent.orien.openSession({ providerId: node.providerId, budgetMicros: micros(BUDGET) })
}

async function runIn(session: Session): Promise<void> {
  const args = { language: 'python', code: 'print(6 * 7)' }
  await session.run({ tool: 'execute_script', args, maxCostMicros: micros(1_000_000n) })
}

async function claimOf({ id }: Session): Promise<OpenClaim> {
  const claim = (await loadClaims(node.dataDir)).find(({ sessionId }) => sessionId === id)
  if (!claim) throw new TypeError('the session has receipts')
  return claim
}

async function channelOf({ channel }: OpenClaim) {
  const reading = await readChannel(client(), channel.escrow, channelId(channel))
  if (reading.status !== 'found') throw new TypeError('the session has a channel')
  return reading.channel
}

/** Waits until the chain has paid all whole steps of what the node has earned in a session. */
async function claimedIn(session: Session): Promise<bigint> {
  const { earnedMicros } = await claimOf(session)
  const wholeMicros = partialClaim(earnedMicros)
  await until(async () => (await channelOf(await claimOf(session))).settledMicros === wholeMicros)
  return wholeMicros
}

beforeAll(async () => {
  stack = await startStack({ channelLookMs: 200 })
  node = await startRealNode(stack, { timing: HASTY })
  agent = await createAgent(stack, 10n * BUDGET)
  const { registration } = await loadProvider(node.dataDir)
  owner = registration.payout
  operator = registration.operator
  await stack.chain.fund(operator)
})
afterAll(async () => {
  await node?.stop()
  await stack?.stop()
})

async function ownerHas(): Promise<bigint> {
  const reading = await readBalance(client(), stack.chain.usdc, owner)
  if (reading.status === 'unreachable') throw new TypeError(reading.detail)
  return reading.micros
}

test('a node claims what it has earned while the session goes on, and the end pays the same sums as one claim', async () => {
  const before = await ownerHas()
  const session = await openSession()
  await runIn(session)
  const first = await claimedIn(session)
  expect(first).toBeGreaterThan(0n)
  expect(await ownerHas()).toBe(before + splitCumulative(micros(first)).providerMicros)
  // Work goes on in the same channel, and so do claims.
  await runIn(session)
  const second = await claimedIn(session)
  expect(second).toBeGreaterThan(first)
  expect(await channelOf(await claimOf(session))).toMatchObject({ phase: 'open', settledMicros: second })
  expect((await loadEarnings(node.dataDir)).totals.paid).toBeGreaterThan(0n)

  const { isSolvent } = await agent.orien.call(getSolvency, {})
  expect(isSolvent).toBe(true)
  const env = { DATABASE_URL: stack.database.url, ORIEN_RPC_URL: stack.chain.rpcUrl }
  const audit = await spawnOrien(['reconcile', '--json'], { env })
  expect(audit.code, audit.stdout).toBe(0)

  await session.end()
  const { settlement, consumedMicros } = await session.settled()
  const shares = splitCumulative(consumedMicros)
  expect(settlement).toMatchObject({ ...shares, refundedMicros: BUDGET - consumedMicros })
  expect(await ownerHas()).toBe(before + shares.providerMicros)
  const bill = await verifyBillText(await session.bill(), { rpcUrl: stack.chain.rpcUrl })
  expect(bill.verdict).toBe('verified')
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const found = await auditLedger(pool).finally(() => pool.end())
  expect(found.filter(({ violations }) => violations > 0)).toEqual([])
  expect((await agent.orien.call(getSolvency, {})).isSolvent).toBe(true)
})

test('attack: the operator key is stolen and closes a channel at nothing; the owner keeps all that was claimed', async () => {
  const session = await openSession()
  await runIn(session)
  const before = await ownerHas()
  const claimed = await claimedIn(session)
  const { channel, earnedMicros } = await claimOf(session)
  await node.kill()
  const thief = privateKeyToAccount(await readKeyFile(join(node.dataDir, 'operator.key')))
  const wallet = createWalletClient({ account: thief, chain: foundry, transport: http(stack.chain.rpcUrl) })
  const close = { address: channel.escrow, abi: orienEscrowAbi, functionName: 'claimAndClose' } as const
  await wallet.writeContract({ ...close, args: [channelId(channel), 0n, 0n, '0x'] })
  const after = await channelOf(await claimOf(session))
  expect(after).toMatchObject({ phase: 'finalized', settledMicros: claimed })
  // What the thief took from the owner is what stood unclaimed: less than a step.
  expect(earnedMicros - claimed).toBeLessThan(100n)
  expect(await ownerHas()).toBeGreaterThanOrEqual(before)
  node.launch()
})

test('attack: the coordinator is gone for good, and the node’s keys and journal with it; the owner was paid by then', async () => {
  await expect
    .poll(
      () =>
        openSession().then(
          () => true,
          () => false,
        ),
      { timeout: 60_000 },
    )
    .toBe(true)
  const session = await openSession()
  await runIn(session)
  const claimed = await claimedIn(session)
  const { channel, earnedMicros } = await claimOf(session)
  await stack.coordinator.stop()
  await node.kill()
  for (const lost of ['journal', 'operator.key', 'node.key'])
    rmSync(join(node.dataDir, lost), { recursive: true, force: true })
  const reading = await readChannel(client(), channel.escrow, channelId(channel))
  expect(reading).toMatchObject({ channel: { settledMicros: claimed } })
  expect(earnedMicros - claimed).toBeLessThan(100n)
})
