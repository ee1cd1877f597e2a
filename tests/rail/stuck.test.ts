import { createPool } from '@orien/coordinator'
import { type Hex, micros } from '@orien/protocol'
import { localFees, signerFromPrivateKey } from '@orien/rails'
import { createPublicClient, createTestClient, http, parseGwei } from 'viem'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { keepLines } from '../harness/logLines.ts'
import { startRpcProxy } from '../harness/rpcProxy.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

vi.setConfig({ testTimeout: 60_000 })

const PATIENCE = { timeout: 30_000, interval: 50 }

let proxy: Awaited<ReturnType<typeof startRpcProxy>>
let stack: Stack
let node: ScriptedNode
let agent: TestAgent
let pool: ReturnType<typeof createPool>
const told = keepLines()

beforeAll(async () => {
  proxy = await startRpcProxy()
  const rpcUrl = async (chainUrl: string) => {
    proxy.to = chainUrl
    return proxy.url
  }
  // No step fits between what is offered first and the cap.
  const profile = { replaceAfter: { ms: 100, blocks: 1n }, feeCapWei: localFees.maxFeePerGas }
  stack = await startStack({}, undefined, { rpcUrl, profile, log: told.log })
  pool = createPool({ url: stack.database.url, connections: 1 })
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 20_000_000n)
})
afterAll(async () => {
  await pool.end()
  await stack.stop()
  proxy.close()
})

const anvil = () => createTestClient({ mode: 'anvil', chain: foundry, transport: http(stack.chain.rpcUrl) })
const reader = () => createPublicClient({ chain: foundry, transport: http(stack.chain.rpcUrl) })
async function baseFee(gwei: string): Promise<void> {
  await anvil().setNextBlockBaseFeePerGas({ baseFeePerGas: parseGwei(gwei) })
  await anvil().mine({ blocks: 1 })
}
const health = async () =>
  (await (await fetch(`${stack.url}/api/health`)).json()) as { status: string; reasons: string[] }
const page = async () => (await fetch(`${stack.url}/metrics`)).text()

async function begin() {
  const budgetMicros = micros(1_000_000n)
  const session = await agent.orien.openSession({ providerId: node.providerId, budgetMicros })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  return { session, run }
}

async function openingOf(sessionId: string) {
  const { rows } = await pool.query<{ id: string; status: string; nonce: string; tx_hash: Hex; data: Hex }>(
    `select id, status, nonce, tx_hash, data from transactions where session_id = $1 and kind = 'open'`,
    [sessionId],
  )
  return rows[0]
}
const untilStatus = (sessionId: string, status: string) =>
  expect.poll(async () => (await openingOf(sessionId))?.status, PATIENCE).toBe(status)

test('at the cap a transaction is told as stuck in log, metrics and health, and is mined when the fee falls', async () => {
  await anvil().setAutomine(false)
  const { session, run } = await begin()
  await untilStatus(session.id, 'broadcast')
  await baseFee('150')
  await expect.poll(() => told.of('settlement.stuck').length, PATIENCE).toBe(1)
  const { id, nonce } = (await openingOf(session.id)) ?? {}
  expect(told.of('settlement.stuck')[0]).toMatchObject({
    cause: 'fee_cap',
    transaction: id,
    kind: 'open',
    nonce: `${nonce}`,
  })
  await expect.poll(page, PATIENCE).toContain('orien_transactions_stuck 1')
  await expect.poll(health, PATIENCE).toMatchObject({ status: 'degraded', reasons: ['transactions_stuck'] })
  await baseFee('1')
  await anvil().setAutomine(true)
  await untilStatus(session.id, 'final')
  await node.finish(await node.dispatchOf(run.id), 10)
  await session.end()
  expect((await session.settled()).status).toBe('settled')
  await expect.poll(page, PATIENCE).toContain('orien_transactions_stuck 0')
  await expect.poll(health, PATIENCE).toMatchObject({ status: 'ok' })
  expect(told.of('settlement.stuck')).toHaveLength(1)
})

test('a nonce that something else has spent is told, and the action is sent once more when that is final', async () => {
  await anvil().setAutomine(false)
  const { session, run } = await begin()
  await untilStatus(session.id, 'broadcast')
  proxy.fault = 'away'
  const { id, nonce, tx_hash: hash = '0x' } = (await openingOf(session.id)) ?? {}
  await anvil().dropTransaction({ hash })
  const thief = signerFromPrivateKey(stack.chain.relayerPrivateKey)
  const stolen = await thief.sign({
    ...{ chainId: 31337, to: agent.account.address, data: '0x', nonce: Number(nonce), gas: 50_000n },
    // More than is offered for ours, which may be back in the pool by now.
    ...{
      maxFeePerGas: localFees.maxFeePerGas * 2n,
      maxPriorityFeePerGas: localFees.maxPriorityFeePerGas * 2n,
    },
  })
  await reader().request({ method: 'eth_sendRawTransaction', params: [stolen.raw] })
  await anvil().mine({ blocks: 1 })
  await anvil().setAutomine(true)
  proxy.fault = 'none'
  const taken = () => told.of('settlement.stuck').filter(({ cause }) => cause === 'nonce_taken')
  await expect.poll(taken, PATIENCE).toHaveLength(1)
  expect(taken()[0]).toMatchObject({ transaction: id, nonce: `${nonce}` })
  await untilStatus(session.id, 'final')
  const opening = await openingOf(session.id)
  expect(opening).toMatchObject({ id, nonce: BigInt(nonce ?? 0) + 1n })
  expect(told.of('settlement.displaced')).toMatchObject([{ transaction: id, nonce: `${nonce}` }])
  const { address } = thief
  expect(await reader().getTransactionCount({ address })).toBe(Number(nonce) + 2)
  await node.finish(await node.dispatchOf(run.id), 10)
  await session.end()
  expect((await session.settled()).status).toBe('settled')
  await expect.poll(page, PATIENCE).toContain('orien_transactions_stuck 0')
})
