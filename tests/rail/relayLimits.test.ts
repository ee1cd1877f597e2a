import { createPool } from '@orien/coordinator'
import { type Hex, micros } from '@orien/protocol'
import { signerFromPrivateKey } from '@orien/rails'
import { createPublicClient, createWalletClient, http } from 'viem'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { fiatTokenAbi } from '../../packages/contracts/src/index.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

vi.setConfig({ testTimeout: 60_000 })

/** Two sessions a payer; four sessions and a provider's registration for all newcomers. */
const LIMITS = {
  payerDailyGas: 700_000n,
  newcomersDailyGas: 1_400_000n,
  selfPayingMicros: 500n,
  minimumDepositMicros: 100_000n,
}
const DEPOSIT = micros(100_000n)
/** Effective time of a run that costs more than `selfPayingMicros`. */
const PAYING_MS = 60

let stack: Stack
let node: ScriptedNode
let pool: ReturnType<typeof createPool>
let customer: TestAgent

beforeAll(async () => {
  stack = await startStack({ relayLimits: LIMITS })
  pool = createPool({ url: stack.database.url, connections: 1 })
  node = await startScriptedNode(stack)
  customer = await createAgent(stack, 5_000_000n)
})
afterAll(async () => {
  await pool.end()
  await stack.stop()
})

const reader = () => createPublicClient({ chain: foundry, transport: http(stack.chain.rpcUrl) })
const relayerNonce = () =>
  reader().getTransactionCount({ address: signerFromPrivateKey(stack.chain.relayerPrivateKey).address })

/** A session that is opened, runs for so long, and is closed. */
async function loop(agent: TestAgent, effectiveMs = 0) {
  const session = await agent.orien.openSession({ providerId: node.providerId, budgetMicros: DEPOSIT })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  const work = await node.dispatchOf(run.id)
  const nothing = { status: 'failed', reason: 'rejected', exitCode: null } as const
  await node.finish(work, effectiveMs, effectiveMs === 0 ? nothing : {})
  await run.wait()
  await session.end()
  return session.settled()
}

/** What the relayer has paid for sessions of this wallet, in gas. */
async function relayedGas(payer: Hex): Promise<number> {
  const { rows } = await pool.query<{ gas: string }>(
    `select coalesce(sum(coalesce(t.gas_used, c.gas_used)), 0)::text as gas from transactions t
       join sessions s on s.id = t.session_id left join transactions c on c.id = t.carrier_id where s.payer = $1`,
    [payer.toLowerCase()],
  )
  return Number(rows[0]?.gas)
}

const refused = (scope: string) => ({
  code: 'relay_limit_reached',
  facts: { scope, resetsAt: expect.stringMatching(/T00:00:00.000Z$/) },
})

test('sessions that pay for themselves are relayed without a bound', async () => {
  for (let sessions = 0; sessions < 4; sessions += 1)
    expect(await loop(customer, PAYING_MS)).toMatchObject({ status: 'settled', consumedMicros: 600n })
})

test('attack: one wallet opens and closes sessions for nothing; after two loops nothing of it is relayed', async () => {
  const attacker = await createAgent(stack, 1_000_000n)
  await loop(attacker)
  await loop(attacker)
  const nonce = await relayerNonce()
  for (let attempts = 0; attempts < 5; attempts += 1)
    await expect(loop(attacker)).rejects.toMatchObject(refused('payer'))
  expect(await relayerNonce()).toBe(nonce)
  const gas = await relayedGas(attacker.account.address)
  // Two openings and two closes; what is set aside for them is more.
  expect(gas).toBeGreaterThan(2 * 180_000)
  expect(gas).toBeLessThanOrEqual(Number(LIMITS.payerDailyGas))
})

test('attack: sessions are opened by many calls at once; as few are relayed as one after the other', async () => {
  const attacker = await createAgent(stack, 1_000_000n)
  const open = () => attacker.orien.openSession({ providerId: node.providerId, budgetMicros: DEPOSIT })
  const sessions = await Promise.all([open(), open(), open(), open()])
  const outcomes = await Promise.allSettled(
    sessions.map((session) => session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })),
  )
  const taken = outcomes.filter(({ status }) => status === 'fulfilled')
  expect(taken).toHaveLength(2)
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'relay_limit_reached' })
})

test('attack: a fresh wallet for every loop; the newcomers’ bound ends it, and each wallet costs its owner a transfer', async () => {
  const bank = await createAgent(stack, 1_000_000n)
  await stack.chain.fund(bank.account.address)
  const wallet = createWalletClient({
    account: bank.account,
    chain: foundry,
    transport: http(stack.chain.rpcUrl),
  })
  const fresh = await createAgent(stack, 0n)
  const hash = await wallet.writeContract({
    address: stack.chain.usdc,
    abi: fiatTokenAbi,
    functionName: 'transfer',
    args: [fresh.account.address, DEPOSIT],
  })
  const { gasUsed } = await reader().waitForTransactionReceipt({ hash })
  expect(Number(gasUsed)).toBeGreaterThan(50_000)
  await expect(loop(fresh)).rejects.toMatchObject(refused('newcomers'))
  const query = `select count(*)::int as planned from transactions t join sessions s on s.id = t.session_id
    where s.payer = $1`
  const { rows } = await pool.query(query, [fresh.account.address.toLowerCase()])
  expect(rows).toEqual([{ planned: 0 }])
})

test('who has paid before is served while strangers are refused', async () => {
  expect(await loop(customer, PAYING_MS)).toMatchObject({ status: 'settled' })
})

test('a deposit or a top-up that is smaller than its gas is worth is refused before anything is signed for it', async () => {
  const small = { providerId: node.providerId, budgetMicros: micros(99_999n) }
  await expect(customer.orien.openSession(small)).rejects.toMatchObject({
    code: 'validation_failed',
    facts: { issues: [{ path: 'budgetMicros', message: 'must be at least 100000' }] },
  })
  const session = await customer.orien.openSession({ providerId: node.providerId, budgetMicros: DEPOSIT })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  await node.dispatchOf(run.id)
  await expect(session.topUp(micros(99_999n))).rejects.toMatchObject({ code: 'deposit_refused' })
})

test('what was spent today, what is left and what was refused can be read', async () => {
  const { rows } = await pool.query<{ gas: string; wei: string }>(
    'select sum(gas_used)::text as gas, sum(fee_wei)::text as wei from transactions',
  )
  const page = async () => (await fetch(`${stack.url}/metrics`)).text()
  await expect.poll(page, { timeout: 10_000 }).toContain(`orien_relayer_spent_gas ${rows[0]?.gas}`)
  const text = await page()
  expect(text).toMatch(/orien_relayer_spent_wei [1-9]/)
  expect(text).toMatch(/orien_relayer_balance_wei [1-9]/)
  expect(text).toMatch(/orien_relay_refusals_total\{scope="payer"\} \d+/)
  expect(text).toMatch(/orien_relay_refusals_total\{scope="newcomers"\} 1/)
})
