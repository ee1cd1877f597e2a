import { createPool } from '@orien/coordinator'
import { channelId, type Hex, listPayments, micros } from '@orien/protocol'
import { chains, connectChain, localAccounts, readBalance, readCredit } from '@orien/rails'
import { type Abi, createWalletClient, encodeFunctionData, http, parseAbi } from 'viem'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keepLines } from '../harness/logLines.ts'
import { startRpcProxy } from '../harness/rpcProxy.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let proxy: Awaited<ReturnType<typeof startRpcProxy>>
let stack: Stack
let agent: TestAgent
let blocked: ScriptedNode
let paid: ScriptedNode
const told = keepLines()

beforeAll(async () => {
  proxy = await startRpcProxy()
  const rpcUrl = async (chainUrl: string) => {
    proxy.to = chainUrl
    return proxy.url
  }
  stack = await startStack({ channelLookMs: 200 }, undefined, { rpcUrl, log: told.log })
  ;[blocked, paid] = await Promise.all([startScriptedNode(stack), startScriptedNode(stack)])
  agent = await createAgent(stack, 20_000_000n)
})
afterAll(async () => {
  await stack.stop()
  proxy.close()
})

/** A session with one run of this length that has its receipt. */
async function used(node: ScriptedNode, effectiveMs: number) {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
  })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  await node.finish(await node.dispatchOf(run.id), effectiveMs)
  await run.wait()
  return session
}

/** Ends them while the chain is away, so that one pass closes all of them. */
async function settleTogether(sessions: readonly Awaited<ReturnType<typeof used>>[]) {
  proxy.fault = 'away'
  for (const session of sessions) await session.end()
  proxy.fault = 'none'
  return Promise.all(sessions.map((session) => session.settled()))
}

async function operatorOf({ providerId }: ScriptedNode): Promise<string> {
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const query = `select registration #>> '{registration,operator}' as operator from providers where id = $1`
  const { rows } = await pool.query<{ operator: string }>(query, [providerId])
  await pool.end()
  return rows[0]?.operator ?? ''
}

/** What the chain has refused is asked for again after a while: as if that had passed. */
async function letFailuresAge(): Promise<void> {
  const pool = createPool({ url: stack.database.url, connections: 1 })
  await pool.query(
    `update transactions set updated_at = updated_at - interval '1 minute' where status = 'failed'`,
  )
  await pool.end()
}

async function asOwner({ owner }: ScriptedNode, signature: string, args: readonly unknown[]): Promise<void> {
  await stack.chain.fund(owner.address)
  const wallet = createWalletClient({ account: owner, chain: foundry, transport: http(stack.chain.rpcUrl) })
  const abi = parseAbi([signature] as readonly string[]) as Abi
  const [item] = abi
  const functionName = item && 'name' in item ? String(item.name) : ''
  const data = encodeFunctionData({ abi, functionName, args })
  await wallet.sendTransaction({ to: stack.chain.escrow, data, gas: 500_000n })
}

const client = () => connectChain(chains.local, stack.chain.rpcUrl)
const balanceOf = async (account: Hex) => {
  const reading = await readBalance(client(), stack.chain.usdc, account)
  return reading.status === 'read' ? reading.micros : null
}
const creditOf = async (account: Hex) => {
  const reading = await readCredit(client(), stack.chain.escrow, account)
  return reading.status === 'read' ? reading.micros : null
}

test('sessions that end together are closed in one transaction, each at its own amount', async () => {
  const sessions = [await used(paid, 10), await used(paid, 20), await used(blocked, 30)]
  const views = await settleTogether(sessions)
  expect(new Set(views.map(({ settlement }) => settlement?.txHash)).size).toBe(1)
  expect(views.map(({ settlement }) => settlement?.claimMicros)).toEqual([100n, 200n, 300n].map(micros))
  const { items } = await agent.orien.call(listPayments, { query: { limit: 10 } })
  const settles = items.filter(({ operation }) => operation === 'settle')
  expect(settles.map(({ sessionId }) => sessionId).sort()).toEqual(sessions.map(({ id }) => id).sort())
  expect(new Set(settles.map(({ id }) => id)).size).toBe(3)
})

test('a blocklisted provider stops nobody else’s payment, and has a credit', async () => {
  const owner = blocked.owner.address.toLowerCase() as Hex
  const wallet = createWalletClient({ chain: foundry, transport: http(stack.chain.rpcUrl) })
  await wallet.writeContract({
    address: stack.chain.usdc,
    abi: parseAbi(['function blacklist(address account)']),
    functionName: 'blacklist',
    args: [owner],
    account: localAccounts.deployer,
    gas: 200_000n,
  })
  const before = await balanceOf(paid.owner.address)
  const views = await settleTogether([await used(blocked, 100), await used(paid, 200)])
  expect(views.map(({ status }) => status)).toEqual(['settled', 'settled'])
  expect(new Set(views.map(({ settlement }) => settlement?.txHash)).size).toBe(1)
  expect((await balanceOf(paid.owner.address)) ?? 0n).toBe((before ?? 0n) + 1_800n)
  expect(await creditOf(owner)).toBe(900n)
})

test('the parts of a batch say what their transaction says', async () => {
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const { rows } = await pool.query(
    `select count(*)::int as parts, count(*) filter (where p.status = c.status and p.tx_hash = c.tx_hash
        and p.block_number = c.block_number)::int as alike
      from transactions p join transactions c on c.id = p.carrier_id`,
  )
  await pool.end()
  expect(rows[0].parts).toBe(5)
  expect(rows[0].alike).toBe(5)
})

test('of a batch that would do nothing each part is told its own reason, and goes on by it', async () => {
  const [closed, revoked] = await Promise.all([startScriptedNode(stack), startScriptedNode(stack)])
  const sessions = [await used(closed, 10), await used(revoked, 20)]
  const [elsewhere, waiting] = sessions
  const run = closed.dispatches[0]
  proxy.fault = 'away'
  await asOwner(closed, 'function close(bytes32 channelId, uint128 cumulativeAmount, bytes signature)', [
    run ? channelId(run.channel) : '0x',
    0n,
    '0x',
  ])
  const operator = await operatorOf(revoked)
  await asOwner(revoked, 'function setOperator(address operator, bool allowed)', [operator, false])
  for (const session of sessions) await session.end()
  proxy.fault = 'none'
  const errorOf = (sessionId: string | undefined) =>
    told.of('settlement.failed').find((line) => line.sessionId === sessionId)?.error
  await expect.poll(() => errorOf(waiting?.id), { timeout: 20_000 }).toBe('InvalidSignature')
  expect(errorOf(elsewhere?.id)).toBe('ChannelFinalized')
  const batches = told.of('settlement.failed').filter(({ transaction }) => transaction)
  expect(new Set(batches.map(({ transaction }) => transaction)).size).toBe(batches.length)
  expect((await elsewhere?.settled())?.settlement).toMatchObject({ status: 'final', claimMicros: 0n })
  await asOwner(revoked, 'function setOperator(address operator, bool allowed)', [operator, true])
  await letFailuresAge()
  expect((await waiting?.settled())?.settlement).toMatchObject({ status: 'final', claimMicros: 200n })
})
