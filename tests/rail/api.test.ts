import {
  createChallenge,
  createKey,
  getEarnings,
  heartbeat,
  initialise,
  listKeys,
  listPayments,
  listProviders,
  makeJws,
  micros,
  openSession,
  pay,
  revokeKey,
  TOOLS_SCHEMA_PATH,
  toolsFileJsonSchema,
  verifyChallenge,
} from '@orien/protocol'
import { Orien } from '@orien/sdk'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { query } from '../../apps/coordinator/src/db/embedded/fixtures/faults.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode
let agent: TestAgent
let anyone: Orien

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 20_000_000n)
  anyone = new Orien({ baseUrl: stack.url })
})
afterAll(() => stack.stop())

test('a sign-in message works once, for the wallet that it names and nobody else', async () => {
  const { message } = await anyone.call(createChallenge, { body: { address: agent.account.address } })
  const stranger = privateKeyToAccount(`0x${'12'.repeat(32)}`)
  const verify = async (
    account: { signMessage: (of: { message: string }) => Promise<`0x${string}`> },
    text = message,
  ) =>
    anyone.call(verifyChallenge, {
      body: { message: text, signature: await account.signMessage({ message: text }) },
    })
  await expect(verify(stranger)).rejects.toMatchObject({ code: 'signature_invalid' })
  await expect(
    verify(agent.account, message.replace(/Nonce: \w+/, 'Nonce: 0123456789abcdef')),
  ).rejects.toMatchObject({
    code: 'challenge_expired',
  })
  expect((await verify(agent.account)).agentId).toMatch(/^agt_/)
  await expect(verify(agent.account)).rejects.toMatchObject({ code: 'challenge_expired' })
})

test('the schema of orien.tools.yaml is served to everybody, for the editors of owners', async () => {
  const response = await fetch(new URL(TOOLS_SCHEMA_PATH, stack.url))
  expect(response.headers.get('content-type')).toContain('application/schema+json')
  expect(await response.json()).toEqual(JSON.parse(JSON.stringify(toolsFileJsonSchema())))
})

test('an API key spends up to its cap, reads only when told so, and stops when it is revoked', async () => {
  const body = { name: 'ci', scopes: ['read' as const, 'spend' as const], spendCapMicros: micros(150_000n) }
  const key = await agent.orien.call(createKey, { body })
  const byKey = new Orien({ baseUrl: stack.url, token: key.secret })
  const open = (of: Orien) =>
    of.call(openSession, {
      body: { providerId: node.providerId, budgetMicros: micros(100_000n), rail: 'escrow' },
    })
  expect((await open(byKey)).budgetMicros).toBe(100_000n)
  await expect(open(byKey)).rejects.toMatchObject({ code: 'spend_cap_exceeded' })
  const reader = await agent.orien.call(createKey, { body: { ...body, scopes: ['read'] } })
  const readOnly = new Orien({ baseUrl: stack.url, token: reader.secret })
  expect((await readOnly.sessions()).items.length).toBeGreaterThan(0)
  await expect(open(readOnly)).rejects.toMatchObject({ code: 'forbidden' })
  await expect(byKey.call(createKey, { body })).rejects.toMatchObject({ code: 'forbidden' })
  const listed = await agent.orien.call(listKeys, { query: { limit: 20 } })
  expect(listed.items.find(({ id }) => id === key.id)).toMatchObject({ spentMicros: 100_000n })
  expect(
    JSON.stringify(listed, (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
  ).not.toContain(key.secret)
  await agent.orien.call(revokeKey, { params: { id: key.id } })
  await expect(byKey.sessions()).rejects.toMatchObject({ code: 'unauthorized' })
})

test('the marketplace is searched by tool, price, state and text', async () => {
  const find = async (query: Partial<Parameters<typeof anyone.call<typeof listProviders>>[1]['query']>) =>
    (await anyone.call(listProviders, { query: { limit: 20, ...query } })).items.map(({ id }) => id)
  expect(await find({ tool: 'block' })).toContain(node.providerId)
  expect(await find({ tool: 'other' })).toEqual([])
  expect(await find({ maxRateMicros: micros(600_000n), online: 'true' })).toContain(node.providerId)
  expect(await find({ maxRateMicros: micros(599_999n) })).toEqual([])
  expect(await find({ online: 'false' })).toEqual([])
  expect(await find({ q: 'SCRIPT' })).toContain(node.providerId)
  expect(await find({ q: '%' })).toEqual([])
})

test('a heartbeat counts only with a fresh proof by the node’s own key', async () => {
  const beat = (providerId: string, at: Date) => {
    const proof = makeJws(
      'orien-node+jws',
      node.nodeKey,
      { providerId, at: at.toISOString() },
      node.signBytes,
    )
    return anyone.call(heartbeat, { params: { id: node.providerId }, body: { proof } })
  }
  expect(await beat(node.providerId, new Date())).toMatchObject({ status: 'online' })
  await expect(beat(node.providerId, new Date(Date.now() - 120_000))).rejects.toMatchObject({
    code: 'signature_invalid',
  })
  await expect(beat(`prv_${'0'.repeat(26)}`, new Date())).rejects.toMatchObject({ code: 'signature_invalid' })
})

test('a top-up raises the budget when it is final, and the ledger has both deposits', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(600_000n),
  })
  const run = await session.execute({ tool: 'block', args: {} })
  await node.finish(await node.dispatchOf(run.id), 100)
  await run.wait()
  await session.topUp(micros(400_000n))
  await expect.poll(async () => (await session.state()).budgetMicros, { timeout: 10_000 }).toBe(1_000_000n)
  const payments = await agent.orien.call(listPayments, { query: { limit: 20, sessionId: session.id } })
  expect(
    payments.items.map(({ operation, status, amountMicros }) => [operation, status, amountMicros]),
  ).toEqual([
    ['topUp', 'final', 400_000n],
    ['deposit', 'final', 600_000n],
  ])
  await session.end()
  const settled = await session.settled()
  expect(settled.settlement).toMatchObject({ refundedMicros: 999_000n })
})

test('a quote says what a tool costs and how long a budget lasts; what is not offered is refused by name', async () => {
  const quote = await agent.orien.call(pay, {
    body: { operation: 'quote', providerId: node.providerId, tool: 'block', budgetMicros: micros(300_000n) },
  })
  expect(quote).toMatchObject({
    operation: 'quote',
    costMicros: 600_000n,
    durationMs: 60_000,
    budgetLastsMs: 30_000,
  })
  for (const [operation, code] of [
    ['withdraw', 'insufficient_funds'],
    ['reinvest', 'unsupported_operation'],
  ] as const) {
    await expect(agent.orien.call(pay, { body: { operation } })).rejects.toMatchObject({ code })
  }
})

test('a provider’s statement has every run with its receipt and the transaction that paid it, also as CSV', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(100_000n),
  })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  await node.finish(await node.dispatchOf(run.id), 50)
  await run.wait()
  await session.end()
  const { settlement } = await session.settled()
  const owner = new Orien({ baseUrl: stack.url, account: node.owner })
  const statement = await owner.call(getEarnings, { query: { limit: 100, providerId: node.providerId } })
  const line = statement.items.find(({ executionId }) => executionId === run.id)
  expect(line).toMatchObject({ costMicros: 500n, settlementTx: settlement?.txHash })
  expect(statement.settledMicros + statement.pendingMicros).toBeLessThanOrEqual(statement.grossMicros)
  const { message } = await anyone.call(createChallenge, { body: { address: node.owner.address } })
  const signature = await node.owner.signMessage({ message })
  const { token } = await anyone.call(verifyChallenge, { body: { message, signature } })
  const csv = await fetch(`${stack.url}/api/earnings.csv`, { headers: { authorization: `Bearer ${token}` } })
  expect(await csv.text()).toContain(
    `${run.id},block,50,500,0.0005,${line?.receiptHash},${settlement?.txHash}`,
  )
  const others = await agent.orien.call(getEarnings, { query: { limit: 100 } })
  expect(others.items).toEqual([])
})

test('a statement that is read a line at a time has each line once, however many were recorded at one time', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(500_000n),
  })
  const ids: string[] = []
  for (const effectiveMs of [10, 20, 30, 40]) {
    const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
    await node.finish(await node.dispatchOf(run.id), effectiveMs)
    await run.wait()
    ids.push(run.id)
  }
  // As one commit of a group has them, and finer than a date in JavaScript.
  const sql = `UPDATE receipts SET recorded_at = '2026-01-01 00:00:00.000999Z' WHERE session_id = '${session.id}'`
  await query(stack.database.url, sql)
  const owner = new Orien({ baseUrl: stack.url, account: node.owner })
  const read: string[] = []
  let cursor: string | undefined
  do {
    const page = await owner.call(getEarnings, { query: { limit: 1, providerId: node.providerId, cursor } })
    read.push(...page.items.map((line) => line.executionId))
    cursor = page.nextCursor
  } while (cursor)
  expect(read.filter((id) => ids.includes(id))).toEqual(ids.toSorted())
  expect(new Set(read).size).toBe(read.length)
  await session.end()
})

test('local USDC is handed out in development; health and metrics tell what is going on', async () => {
  const { address } = privateKeyToAccount(`0x${'34'.repeat(32)}`)
  const gift = await anyone.call(initialise, { body: { wallet: address, amountMicros: micros(5_000_000n) } })
  expect(gift).toMatchObject({ fundedMicros: 5_000_000n, chainId: 31_337 })
  expect(await anyone.health()).toMatchObject({
    status: 'ok',
    database: 'ok',
    chain: 'ok',
    providersOnline: 1,
  })
  const metrics = await (await fetch(`${stack.url}/metrics`)).text()
  expect(metrics).toContain('orien_nodes_online 1')
  expect(metrics).toMatch(/orien_executions_total\{status="completed",reason=""\} [1-9]/)
})
