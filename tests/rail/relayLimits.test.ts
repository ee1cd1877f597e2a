import { createPool } from '@orien/coordinator'
import { type Hex, micros } from '@orien/protocol'
import { signerFromPrivateKey } from '@orien/rails'
import { Orien } from '@orien/sdk'
import { createPublicClient, createWalletClient, http } from 'viem'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { fiatTokenAbi, orienEscrowAbi } from '../../packages/contracts/src/index.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

vi.setConfig({ testTimeout: 60_000 })

/** What is reserved for a session; one of them is given away a day. */
const SESSION_GAS = 310_000n
const LIMITS = {
  payerDailyGas: 700_000n,
  giftedDailyGas: SESSION_GAS,
  newcomersDailyGas: 1_400_000n,
  selfPayingMicros: 500n,
  minimumDepositMicros: 100_000n,
}
const DEPOSIT = micros(100_000n)
/** Effective time of a run that costs what pays for one session. */
const PAYING_MS = 50
/** … and of one that pays something to each of the three. */
const DUST_MS = 2

let stack: Stack
let node: ScriptedNode
let pool: ReturnType<typeof createPool>
let customer: TestAgent

beforeAll(async () => {
  stack = await startStack({ relayLimits: LIMITS, providerGoneMs: 3_000, sweepEveryMs: 200 })
  pool = createPool({ url: stack.database.url, connections: 1 })
  node = await startScriptedNode(stack)
  customer = await createAgent(stack, 5_000_000n)
})
afterAll(async () => {
  await pool.end()
  await stack.stop()
})

const reader = () => createPublicClient({ chain: foundry, transport: http(stack.chain.rpcUrl) })
const nonceOf = (address: Hex) => reader().getTransactionCount({ address })
const relayerNonce = () => nonceOf(signerFromPrivateKey(stack.chain.relayerPrivateKey).address)
/** Its wallet holds nothing but USDC, or may not be used for gas. */
const gasless = ({ account }: TestAgent) => new Orien({ baseUrl: stack.url, account })

async function funded(usdcMicros = 1_000_000n): Promise<TestAgent> {
  const agent = await createAgent(stack, usdcMicros)
  await stack.chain.fund(agent.account.address)
  return agent
}

/** A session that is opened, runs for so long, and is closed. */
async function loop(orien: Orien, effectiveMs = 0) {
  const session = await orien.openSession({ providerId: node.providerId, budgetMicros: DEPOSIT })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  const work = await node.dispatchOf(run.id)
  const nothing = { status: 'failed', reason: 'rejected', exitCode: null } as const
  await node.finish(work, effectiveMs, effectiveMs === 0 ? nothing : {})
  await run.wait()
  await session.end()
  return session.settled()
}

/** What both sides have paid for the sessions of this wallet, in gas: by its own transactions, and by the relayer's. */
async function paidBy(payer: Hex): Promise<{ payerGas: number; relayerGas: number }> {
  const { rows } = await pool.query<{ hash: Hex }>(
    `select distinct t.tx_hash as hash from transactions t join sessions s on s.id = t.session_id
       where s.payer = $1 and t.status = 'final' and t.tx_hash is not null`,
    [payer.toLowerCase()],
  )
  const sums = { payerGas: 0, relayerGas: 0 }
  for (const { hash } of rows) {
    const { from, gasUsed } = await reader().getTransactionReceipt({ hash })
    if (from === payer.toLowerCase()) sums.payerGas += Number(gasUsed)
    else sums.relayerGas += Number(gasUsed)
  }
  return sums
}

const refused = (scope: string) => ({
  code: 'relay_limit_reached',
  facts: { scope, resetsAt: expect.stringMatching(/T00:00:00.000Z$/) },
})

test('what is given to agents that have paid nothing is given up to its bound, by many calls at once as well', async () => {
  const strangers = await Promise.all([1, 2, 3].map(() => createAgent(stack, 1_000_000n)))
  const outcomes = await Promise.allSettled(
    strangers.map(async (stranger) => {
      const session = await gasless(stranger).openSession({
        providerId: node.providerId,
        budgetMicros: DEPOSIT,
      })
      return session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
    }),
  )
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject(refused('gift'))
})

test('a wallet sends its first deposit itself; what its sessions have paid relays those after it', async () => {
  await stack.chain.fund(customer.account.address)
  for (let sessions = 0; sessions < 4; sessions += 1)
    expect(await loop(customer.orien, 2 * PAYING_MS)).toMatchObject({ consumedMicros: 1_000n })
  expect(await nonceOf(customer.account.address)).toBe(1)
})

test('attack: one wallet opens and closes sessions for nothing, or for dust; each loop costs it more gas than the relayer', async () => {
  const attacker = await funded()
  for (const effectiveMs of [0, DUST_MS, 0]) {
    const before = await paidBy(attacker.account.address)
    await loop(attacker.orien, effectiveMs)
    const { payerGas, relayerGas } = await paidBy(attacker.account.address)
    expect(payerGas - before.payerGas).toBeGreaterThan(relayerGas - before.relayerGas)
  }
  expect(await nonceOf(attacker.account.address)).toBe(3)
})

test('attack: a fresh wallet for every loop; it pays for its opening and the transfer, the relayer for its close', async () => {
  const bank = await funded()
  const wallet = createWalletClient({
    account: bank.account,
    chain: foundry,
    transport: http(stack.chain.rpcUrl),
  })
  const fresh = await funded(0n)
  const args = [fresh.account.address, DEPOSIT] as const
  const transfer = { address: stack.chain.usdc, abi: fiatTokenAbi, functionName: 'transfer', args } as const
  const hash = await wallet.writeContract(transfer)
  const { gasUsed } = await reader().waitForTransactionReceipt({ hash })
  await loop(fresh.orien, DUST_MS)
  const { payerGas, relayerGas } = await paidBy(fresh.account.address)
  expect(relayerGas).toBeGreaterThan(50_000)
  // The transfer comes on top, and the relayer's share of the dust.
  expect(payerGas).toBeGreaterThan(relayerGas)
  expect(Number(gasUsed)).toBeGreaterThan(50_000)
})

test('attack: agent and provider are one, and spend what pays for a session to play one for nothing; not a second one is relayed', async () => {
  const colluder = await funded()
  await loop(colluder.orien, PAYING_MS)
  const { relayerGas: closed } = await paidBy(colluder.account.address)
  await loop(gasless(colluder))
  const { relayerGas } = await paidBy(colluder.account.address)
  // All of it is no more than what the platform's share of that spending is worth.
  expect(relayerGas - closed).toBeGreaterThan(180_000)
  expect(relayerGas - closed).toBeLessThan(Number(SESSION_GAS))
  const nonce = await relayerNonce()
  for (let attempts = 0; attempts < 3; attempts += 1)
    await expect(loop(gasless(colluder))).rejects.toMatchObject(refused('gift'))
  expect(await relayerNonce()).toBe(nonce)
})

test('attack: a channel is opened without the signed deposit, which takes less gas; nothing is relayed for it', async () => {
  const attacker = await funded()
  const session = await attacker.orien.openSession({ providerId: node.providerId, budgetMicros: DEPOSIT })
  const { channel } = await session.state()
  const wallet = createWalletClient({
    account: attacker.account,
    chain: foundry,
    transport: http(stack.chain.rpcUrl),
  })
  const { escrow, payee, token, salt, authorizedSigner } = channel ?? {}
  if (!escrow || !payee || !token || !salt || !authorizedSigner)
    throw new TypeError('the session was started')
  const send = async (call: Parameters<typeof wallet.writeContract>[0]) =>
    reader().waitForTransactionReceipt({ hash: await wallet.writeContract(call) })
  const terms = { account: attacker.account, chain: foundry }
  await send({
    ...terms,
    address: token,
    abi: fiatTokenAbi,
    functionName: 'approve',
    args: [escrow, DEPOSIT],
  })
  const args = [payee, token, DEPOSIT, salt, authorizedSigner]
  await send({ ...terms, address: escrow, abi: orienEscrowAbi, functionName: 'open', args })
  const run = session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  await expect(run).rejects.toMatchObject(refused('gift'))
})

test('attack: the provider vanishes once a wallet has opened its channel itself; no way out is relayed that nobody paid for', async () => {
  const gone = await startScriptedNode(stack)
  const attacker = await funded()
  const [free, paid] = await Promise.all(
    [attacker, customer].map(async ({ orien }) => {
      const session = await orien.openSession({ providerId: gone.providerId, budgetMicros: DEPOSIT })
      const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
      await gone.finish(await gone.dispatchOf(run.id), DUST_MS)
      await run.wait()
      return session
    }),
  )
  gone.close()
  const askedFor = async () => {
    const query = `select session_id as id from transactions where kind = 'request_close'`
    return (await pool.query<{ id: string }>(query)).rows.map(({ id }) => id)
  }
  await expect.poll(askedFor, { timeout: 20_000 }).toEqual([paid?.id])
  await expect
    .poll(async () => (await free?.state())?.status, { timeout: 20_000 })
    .toMatch(/ending|completed/)
  expect(await askedFor()).toEqual([paid?.id])
})

test('who has paid before is served while strangers are refused', async () => {
  expect(await loop(gasless(customer), PAYING_MS)).toMatchObject({ status: 'settled' })
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
  expect(text).toMatch(/orien_relay_refusals_total\{scope="gift"\} \d+/)
})
