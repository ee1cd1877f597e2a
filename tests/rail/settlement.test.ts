import { auditLedger, createPool } from '@orien/coordinator'
import {
  bill as billSchema,
  canonicalJson,
  type Json,
  micros,
  readReceipt,
  signReceipt,
} from '@orien/protocol'
import { publicKeyOfSeed, signWithSeed, verifyBillText } from '@orien/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode
let agent: TestAgent

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 20_000_000n)
})
afterAll(() => stack.stop())

/** A session with runs of these effective times, ended and settled. */
async function settle(effectiveMs: readonly number[], budgetMicros = 1_000_000n) {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(budgetMicros),
  })
  for (const ms of effectiveMs) {
    const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
    await node.finish(await node.dispatchOf(run.id), ms)
    await run.wait()
  }
  await session.end()
  const view = await session.settled()
  return { session, view, text: await session.bill() }
}

const options = () => ({ rpcUrl: stack.chain.rpcUrl })

test('provider + platform + reserve + refund = deposit, to the micro-USDC, in one transaction', async () => {
  const { view, text } = await settle([7, 13, 101, 1])
  const settlement = view.settlement
  expect(settlement?.status).toBe('final')
  const {
    providerMicros = 0n,
    platformMicros = 0n,
    reserveMicros = 0n,
    refundedMicros = 0n,
  } = settlement ?? {}
  expect(providerMicros + platformMicros + reserveMicros).toBe(view.consumedMicros)
  expect(providerMicros + platformMicros + reserveMicros + refundedMicros).toBe(view.budgetMicros)
  expect((await verifyBillText(text, options())).verdict).toBe('verified')
  expect((await verifyBillText(text)).verdict).toBe('consistent')
})

test('a session that spent nothing gets all of its deposit back', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(500_000n),
  })
  const run = await session.execute({ tool: 'block', args: {} })
  const work = await node.dispatchOf(run.id)
  await node.finish(work, 0, { status: 'failed', reason: 'rejected', exitCode: null })
  await run.wait()
  await session.end()
  const view = await session.settled()
  expect(view.settlement).toMatchObject({ status: 'final', refundedMicros: 500_000n, claimMicros: 0n })
  const verdict = await verifyBillText(await session.bill(), options())
  expect(verdict.failure).toBeUndefined()
  expect(verdict.verdict).toBe('verified')
})

test('a session that never ran anything is settled at once and touches no chain', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(500_000n),
  })
  await session.end()
  const view = await session.settled()
  expect(view).toMatchObject({ status: 'settled', channelStatus: 'none' })
})

/** Every leaf of a JSON value with its path. */
function* leaves(value: Json, path: string[] = []): Generator<{ path: string[]; value: Json }> {
  if (value === null || typeof value !== 'object') yield { path, value }
  else for (const [key, member] of Object.entries(value)) yield* leaves(member as Json, [...path, key])
}

function change(
  text: string,
  path: readonly string[],
  act: (parent: Record<string, Json>, key: string) => void,
): string {
  const copy = JSON.parse(text) as Record<string, Json>
  let parent = copy
  for (const part of path.slice(0, -1)) parent = parent[part] as Record<string, Json>
  act(parent, path.at(-1) ?? '')
  return canonicalJson(copy)
}

function alter(value: Json): Json {
  if (typeof value === 'number') return value + 1
  if (typeof value !== 'string') return !value
  if (/^\d+$/.test(value)) return (BigInt(value) + 1n).toString()
  const last = value.at(-1) ?? ''
  const other = last === '0' ? '1' : last === 'A' ? 'B' : '0'
  // JWS: a character in the middle, so that the change is not one of padding bits alone.
  const at = value.includes('.') ? Math.floor(value.length / 2) : value.length - 1
  const put = value[at] === other ? 'C' : other
  return value.slice(0, at) + put + value.slice(at + 1)
}

test('verify rejects every single altered or removed field of a bill and names a line', async () => {
  const { text } = await settle([20, 30, 40])
  for (const { path, value } of leaves(JSON.parse(text) as Json)) {
    const altered = change(text, path, (parent, key) => {
      parent[key] = alter(value)
    })
    const verdict = await verifyBillText(altered, options())
    expect(verdict.verdict, `altered ${path.join('.')}`).toBe('rejected')
    expect(verdict.failure?.line, `altered ${path.join('.')}`).toBeTruthy()
    const removed = change(text, path, (parent, key) => {
      if (Array.isArray(parent)) parent.splice(Number(key), 1)
      else delete parent[key]
    })
    expect((await verifyBillText(removed, options())).verdict, `removed ${path.join('.')}`).toBe('rejected')
  }
})

test('verify rejects swapped receipts and a bill of another session', async () => {
  const { text } = await settle([20, 30])
  const { text: other } = await settle([20, 30])
  const swapped = change(text, ['receipts'], (parent, key) => {
    parent[key] = [...(parent[key] as Json[])].reverse()
  })
  expect(await verifyBillText(swapped, options())).toMatchObject({ verdict: 'rejected' })
  for (const part of ['receipts', 'voucher', 'settlement', 'channel', 'sessionId', 'countersignature']) {
    const grafted = change(text, [part], (parent, key) => {
      parent[key] = (JSON.parse(other) as Record<string, Json>)[part] as Json
    })
    expect((await verifyBillText(grafted, options())).verdict, part).toBe('rejected')
  }
})

test('a bill whose receipts are signed again by another node is rejected by its chain anchor', async () => {
  const { text } = await settle([20])
  const bill = billSchema.decode(JSON.parse(text))
  const seed = new Uint8Array(32).fill(9)
  const forged = bill.receipts.map((jws) => {
    const read = readReceipt(jws)
    if (!read) throw new TypeError('the bill holds receipts')
    return signReceipt(read.receipt, publicKeyOfSeed(seed), signWithSeed(seed))
  })
  const verdict = await verifyBillText(
    change(text, ['receipts'], (parent, key) => {
      parent[key] = forged
    }),
    options(),
  )
  expect(verdict).toMatchObject({ verdict: 'rejected', failure: { line: 'receipts[0].signature' } })
})

test('a transaction that breaks whenever it is looked at holds up no other', async () => {
  const pool = createPool({ url: stack.database.url, connections: 1 })
  try {
    const earlier = await pool.query(`select tx_hash from transactions where status = 'final' limit 1`)
    await pool.query(
      `insert into transactions (id, kind, reference, session_id, detail, status, "to", data, tx_hash, created_at)
        values ('pay_broken', 'top_up', 'broken', 'ses_unknown', '{}', 'broadcast', '0x', '0x', $1, 'epoch')`,
      [earlier.rows[0].tx_hash],
    )
    expect((await settle([5])).view.settlement).toMatchObject({ status: 'final' })
    const { rows } = await pool.query(`delete from transactions where id = 'pay_broken' returning status`)
    expect(rows).toEqual([{ status: 'mined' }])
  } finally {
    await pool.end()
  }
})

test('the books balance after everything above', async () => {
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const drift = await auditLedger(pool)
  await pool.end()
  expect(drift.length).toBeGreaterThan(8)
  expect(drift.filter(({ violations }) => violations > 0)).toEqual([])
})
