import { createPool } from '@orien/coordinator'
import { type DepositAuthorization, micros } from '@orien/protocol'
import { encodeOpenWithAuthorization } from '@orien/rails'
import { createTestClient, createWalletClient, type Hex, http, parseGwei } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

const PATIENCE = { timeout: 20_000, interval: 50 }
const BUDGET = micros(500_000n)
const CAP = micros(20_000n)

let stack: Stack
let node: ScriptedNode
let agent: TestAgent
let pool: ReturnType<typeof createPool>

beforeAll(async () => {
  stack = await startStack()
  pool = createPool({ url: stack.database.url, connections: 1 })
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 50_000_000n)
})
afterAll(async () => {
  await pool.end()
  await stack.stop()
})

const open = () => agent.orien.openSession({ providerId: node.providerId, budgetMicros: BUDGET })
type Session = Awaited<ReturnType<typeof open>>

/** The agent's signed deposit as anybody can send it who has seen it. */
async function depositCall(session: Session) {
  const { channel } = await session.state()
  const query = 'select deposit from sessions where id = $1'
  const { rows } = await pool.query<{ deposit: DepositAuthorization }>(query, [session.id])
  const stored = rows[0]?.deposit
  if (!channel || !stored) throw new TypeError('the session was started')
  const deposit = { ...stored, valueMicros: micros(BigInt(stored.valueMicros)) }
  return encodeOpenWithAuthorization(channel, deposit)
}

/** Somebody with gas, who sends what it is given. */
async function createStranger() {
  const account = privateKeyToAccount(generatePrivateKey())
  await stack.chain.fund(account.address)
  const wallet = createWalletClient({ account, chain: foundry, transport: http(stack.chain.rpcUrl) })
  const fees = { maxFeePerGas: parseGwei('500'), maxPriorityFeePerGas: parseGwei('50') }
  return (call: { to: Hex; data: Hex }) => wallet.sendTransaction({ ...call, gas: 500_000n, ...fees })
}

async function finish(session: Session, run: { id: string; wait: () => Promise<unknown> }) {
  await node.finish(await node.dispatchOf(run.id), 50)
  await run.wait()
  await session.end()
  const { settlement } = await session.settled()
  expect(settlement).toMatchObject({ status: 'final', claimMicros: 500n, refundedMicros: BUDGET - 500n })
}

const openingsOf = async (session: Session) => {
  const query = `select status, tx_hash from transactions where session_id = $1 and kind = 'open' order by status`
  return (await pool.query<{ status: string; tx_hash: Hex | null }>(query, [session.id])).rows
}

test('a deposit that its payer, or anybody, has sent already is that of the session', async () => {
  const session = await open()
  const send = await createStranger()
  const hash = await send(await depositCall(session))
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: CAP })
  await finish(session, run)
  expect(await openingsOf(session)).toEqual([
    { status: 'failed', tx_hash: null },
    { status: 'final', tx_hash: hash },
  ])
})

test('attack: somebody copies the deposit on its way and pays more for it; the session goes on with that one', async () => {
  const session = await open()
  const call = await depositCall(session)
  const machine = createTestClient({ mode: 'anvil', chain: foundry, transport: http(stack.chain.rpcUrl) })
  const send = await createStranger()
  await machine.setAutomine(false)
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: CAP })
  await expect.poll(async () => (await openingsOf(session))[0]?.status, PATIENCE).toBe('broadcast')
  const hash = await send(call)
  await machine.mine({ blocks: 1 })
  await machine.setAutomine(true)
  await finish(session, run)
  const [failed, final] = await openingsOf(session)
  expect([failed?.status, final]).toEqual(['failed', { status: 'final', tx_hash: hash }])
})

/** Sessions whose first runs are asked for at the same time. */
async function openTogether(count: number) {
  const sessions = await Promise.all(Array.from({ length: count }, open))
  const runs = await Promise.all(
    sessions.map((session) => session.execute({ tool: 'block', args: {}, maxCostMicros: CAP })),
  )
  return sessions.map((session, index) => ({ session, run: runs[index] as (typeof runs)[number] }))
}

/** In which transaction each session's deposit is, and how far that is. */
async function batchesOf(opened: readonly { session: Session }[]) {
  const query = `select o.session_id as session, o.status, o.tx_hash as hash, c.status as batch from transactions o
    left join transactions c on c.id = o.carrier_id where o.kind = 'open' and o.session_id = any($1)`
  const ids = opened.map(({ session }) => session.id)
  type Row = { session: string; status: string; hash: Hex | null; batch: string | null }
  return (await pool.query<Row>(query, [ids])).rows
}

test('deposits that wait at the same time are relayed in one transaction, and every session goes on', async () => {
  const opened = await openTogether(12)
  await Promise.all(opened.map(({ run }) => node.dispatchOf(run.id)))
  const openings = await batchesOf(opened)
  expect(openings.map(({ status }) => status)).toEqual(opened.map(() => 'final'))
  expect(new Set(openings.map(({ hash }) => hash)).size).toBeLessThan(7)
  for (const { session, run } of opened.slice(-2)) await finish(session, run)
})

test('attack: a deposit of a batch is sent past the relayer while it is on its way; every session goes on all the same', async () => {
  const machine = createTestClient({ mode: 'anvil', chain: foundry, transport: http(stack.chain.rpcUrl) })
  const send = await createStranger()
  await machine.setAutomine(false)
  const opened = await openTogether(12)
  const inBatch = async () => (await batchesOf(opened)).find(({ batch }) => batch === 'broadcast')?.session
  await expect.poll(inBatch, PATIENCE).toBeDefined()
  const id = await inBatch()
  const copied = opened.find(({ session }) => session.id === id)
  if (!copied) throw new TypeError('it is one of them')
  const hash = await send(await depositCall(copied.session))
  await machine.mine({ blocks: 1 })
  await machine.setAutomine(true)
  await Promise.all(opened.map(({ run }) => node.dispatchOf(run.id)))
  const statuses = (await batchesOf(opened))
    .filter(({ session }) => session !== id)
    .map(({ status }) => status)
  expect(statuses).toEqual(opened.slice(1).map(() => 'final'))
  const [failed, final] = await openingsOf(copied.session)
  expect([failed?.status, final]).toEqual(['failed', { status: 'final', tx_hash: hash }])
  await finish(copied.session, copied.run)
})
