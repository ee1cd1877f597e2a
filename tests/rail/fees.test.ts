import { createPool } from '@orien/coordinator'
import { type Hex, micros } from '@orien/protocol'
import { chains, localFees, signerFromPrivateKey } from '@orien/rails'
import { createPublicClient, createTestClient, http, keccak256, parseGwei, parseTransaction } from 'viem'
import { foundry } from 'viem/chains'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { keepLines } from '../harness/logLines.ts'
import { startRpcProxy } from '../harness/rpcProxy.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

vi.setConfig({ testTimeout: 60_000 })

/** Above what is pinned on the local chain, and below its cap. */
const SPIKE = parseGwei('150')
const CALM = parseGwei('1')
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
  const profile = { replaceAfter: { ms: 200, blocks: 1n } }
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
afterEach(async () => {
  proxy.fault = 'none'
  await baseFee(CALM)
  await anvil().setAutomine(true)
})

const anvil = () => createTestClient({ mode: 'anvil', chain: foundry, transport: http(stack.chain.rpcUrl) })
const reader = () => createPublicClient({ chain: foundry, transport: http(stack.chain.rpcUrl) })
const relayer = () => signerFromPrivateKey(stack.chain.relayerPrivateKey)
const mine = () => anvil().mine({ blocks: 1 })

/** The next block's, which the ones after it come down from by an eighth at most. */
async function baseFee(baseFeePerGas: bigint): Promise<void> {
  await anvil().setNextBlockBaseFeePerGas({ baseFeePerGas })
  await mine()
}

type Row = { id: string; status: string; nonce: string; tx_hash: Hex; raw: Hex; stuck_at: Date | null }

async function transactionOf(sessionId: string, kind: string): Promise<Row | undefined> {
  const query = `select coalesce(c.id, t.id) as id, t.status, coalesce(c.nonce, t.nonce) as nonce, t.tx_hash,
      coalesce(c.raw, t.raw) as raw, coalesce(c.stuck_at, t.stuck_at) as stuck_at
    from transactions t left join transactions c on c.id = t.carrier_id where t.session_id = $1 and t.kind = $2`
  return (await pool.query<Row>(query, [sessionId, kind])).rows[0]
}

/** Signed bytes of an action, in the order in which they were stored. */
async function variantsOf(id: string): Promise<Hex[]> {
  const query = 'select raw from transaction_variants where transaction_id = $1 order by signed_at'
  return (await pool.query<{ raw: Hex }>(query, [id])).rows.map(({ raw }) => raw)
}

const untilStatus = (sessionId: string, kind: string, status: string) =>
  expect.poll(async () => (await transactionOf(sessionId, kind))?.status, PATIENCE).toBe(status)

/** Block after block: the base fee comes down, and what was replaced meanwhile is in one of them. */
const mineUntilFinal = (sessionId: string, kind: string) => {
  const mineAndLook = async () => {
    await mine()
    return (await transactionOf(sessionId, kind))?.status
  }
  return expect.poll(mineAndLook, PATIENCE).toBe('final')
}

/** What a signature says besides its fees and itself. */
function actionOf(raw: Hex) {
  const { chainId, nonce, to, data, gas, value } = parseTransaction(raw as `0x02${string}`)
  return { chainId, nonce, to, data, gas, value }
}

const feeOf = (raw: Hex) => parseTransaction(raw as `0x02${string}`).maxFeePerGas ?? 0n

/** A session whose deposit is on its way, with a run that waits for it. */
async function begin() {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
  })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  return { session, run }
}

async function finish({ session, run }: Awaited<ReturnType<typeof begin>>) {
  await node.finish(await node.dispatchOf(run.id), 10)
  await run.wait()
  await session.end()
  return session.settled()
}

/** Mined among these, and how many nonces were spent since. */
async function minedOf(raws: readonly Hex[], nonceBefore: number) {
  const receipts = await Promise.all(
    raws.map((raw) =>
      reader()
        .getTransactionReceipt({ hash: keccak256(raw) })
        .catch(() => null),
    ),
  )
  const nonce = await reader().getTransactionCount({ address: relayer().address })
  return { mined: receipts.map((receipt) => receipt?.status ?? null), spent: nonce - nonceBefore }
}

const nonceNow = () => reader().getTransactionCount({ address: relayer().address })

test('a deposit that blocks pass over is offered again for more: the same action, stored first, and mined once', async () => {
  const before = await nonceNow()
  await anvil().setAutomine(false)
  const work = await begin()
  await untilStatus(work.session.id, 'open', 'broadcast')
  const first = await transactionOf(work.session.id, 'open')
  await baseFee(SPIKE)
  await expect.poll(() => variantsOf(first?.id ?? ''), PATIENCE).toHaveLength(2)
  const variants = await variantsOf(first?.id ?? '')
  expect(variants.map(actionOf)).toEqual(variants.map(() => actionOf(first?.raw ?? '0x')))
  const [low = 0n, high = 0n] = variants.map(feeOf)
  expect(low).toBe(localFees.maxFeePerGas)
  expect(high).toBeGreaterThanOrEqual((low * 9n) / 8n)
  expect(high).toBeLessThanOrEqual(chains.local.feeCapWei)
  await mineUntilFinal(work.session.id, 'open')
  const all = await variantsOf(first?.id ?? '')
  const { mined, spent } = await minedOf(all, before)
  expect(mined.filter((status) => status === 'success')).toHaveLength(1)
  expect([mined.at(-1), spent]).toEqual(['success', 1])
  await anvil().setAutomine(true)
  await baseFee(CALM)
  expect((await finish(work)).settlement).toMatchObject({ status: 'final', claimMicros: 100n })
})

test('what the chain’s node refuses as too cheap is offered for more at once', async () => {
  await anvil().setAutomine(false)
  await baseFee(SPIKE)
  const work = await begin()
  await untilStatus(work.session.id, 'open', 'broadcast')
  const { id = '' } = (await transactionOf(work.session.id, 'open')) ?? {}
  const variants = await variantsOf(id)
  expect(variants).toHaveLength(2)
  expect(feeOf(variants[1] ?? '0x')).toBeGreaterThan(SPIKE)
  await mine()
  await untilStatus(work.session.id, 'open', 'final')
  await anvil().setAutomine(true)
  await baseFee(CALM)
  await finish(work)
})

test('whichever variant is mined is found, although a later one was sent', async () => {
  const before = await nonceNow()
  await anvil().setAutomine(false)
  const work = await begin()
  await untilStatus(work.session.id, 'open', 'broadcast')
  const { id = '', raw = '0x' } = (await transactionOf(work.session.id, 'open')) ?? {}
  await baseFee(SPIKE)
  await expect.poll(() => variantsOf(id), PATIENCE).toHaveLength(2)
  proxy.fault = 'away'
  await reader().request({ method: 'anvil_dropAllTransactions' as never })
  await anvil().setNextBlockBaseFeePerGas({ baseFeePerGas: CALM })
  await mine()
  await reader().request({ method: 'eth_sendRawTransaction', params: [raw] })
  await mine()
  proxy.fault = 'none'
  await untilStatus(work.session.id, 'open', 'final')
  const variants = await variantsOf(id)
  const { mined, spent } = await minedOf(variants, before)
  expect(mined).toEqual(['success', ...variants.slice(1).map(() => null)])
  expect(spent).toBe(1)
  expect((await transactionOf(work.session.id, 'open'))?.tx_hash).toBe(keccak256(raw))
  await anvil().setAutomine(true)
  await finish(work)
})

test('a transaction that the pool dropped is sent again as it was, and nothing is signed anew', async () => {
  await anvil().setAutomine(false)
  const work = await begin()
  await untilStatus(work.session.id, 'open', 'broadcast')
  const { id = '', tx_hash: hash = '0x' } = (await transactionOf(work.session.id, 'open')) ?? {}
  await anvil().dropTransaction({ hash })
  const isThere = () =>
    reader()
      .getTransaction({ hash })
      .then(
        () => true,
        () => false,
      )
  await expect.poll(isThere, PATIENCE).toBe(true)
  await mine()
  await untilStatus(work.session.id, 'open', 'final')
  expect(await variantsOf(id)).toHaveLength(1)
  await anvil().setAutomine(true)
  await finish(work)
})

test('a close of several sessions is replaced as one action, and each of them knows the hash that counts', async () => {
  const works = [await begin(), await begin()]
  for (const { run } of works) {
    await node.finish(await node.dispatchOf(run.id), 10)
    await run.wait()
  }
  proxy.fault = 'away'
  for (const { session } of works) await session.end()
  await anvil().setAutomine(false)
  proxy.fault = 'none'
  const [first, second] = works.map(({ session }) => session)
  await untilStatus(first?.id ?? '', 'close', 'broadcast')
  await baseFee(SPIKE)
  const { id = '' } = (await transactionOf(first?.id ?? '', 'close')) ?? {}
  await expect.poll(() => variantsOf(id), PATIENCE).toHaveLength(2)
  await mineUntilFinal(first?.id ?? '', 'close')
  const views = await Promise.all(works.map(({ session }) => session.settled()))
  const rows = await Promise.all([first, second].map((session) => transactionOf(session?.id ?? '', 'close')))
  expect(new Set(rows.map((row) => row?.id)).size).toBe(1)
  const receipt = await reader().getTransactionReceipt({ hash: rows[0]?.tx_hash ?? '0x' })
  expect(receipt.status).toBe('success')
  expect(views.map(({ settlement }) => settlement?.txHash)).toEqual(views.map(() => receipt.transactionHash))
})

test('every replacement is counted and told', async () => {
  const page = await (await fetch(`${stack.url}/metrics`)).text()
  const count = told.of('settlement.replaced').length
  expect(count).toBeGreaterThanOrEqual(4)
  expect(page).toContain(`orien_transaction_replacements_total ${count}`)
})
