import { auditLedger, createPool } from '@orien/coordinator'
import { endSession, execute, getSession, listPayments, micros, openSession, pay } from '@orien/protocol'
import { chains, connectChain, sendCall, signerFromPrivateKey } from '@orien/rails'
import { generatePrivateKey } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  balanceOf,
  type Changes,
  custodyWallet,
  cutAt,
  deposited,
  mend,
  ownerOf,
  transferOf,
  walletOf,
} from '../harness/custodialOwner.ts'
import { manageProcess } from '../harness/processes.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { type Stack, startStack } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode
let pool: ReturnType<typeof createPool>

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
  pool = createPool({ url: stack.database.url, connections: 2 })
})
afterAll(async () => {
  expect((await auditLedger(pool)).filter(({ violations }) => violations > 0)).toEqual([])
  await pool.end()
  await stack.stop()
})

test('a deposit is credited when it is final on the chain, not before, and is called custodial', async () => {
  const { answer, orien } = await deposited(stack, 5_000_000n)
  expect(answer).toMatchObject({ operation: 'deposit', balance: { custodial: true, availableMicros: 0n } })
  const { items } = await orien.call(listPayments, { query: { limit: 10 } })
  expect(items).toMatchObject([{ operation: 'custodialDeposit', amountMicros: 5_000_000n, status: 'final' }])
})

test('an API key opens, runs and ends a session on the balance with no signature of its own', async () => {
  const { byKey, orien } = await deposited(stack, 5_000_000n)
  const body = {
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
    rail: 'escrow' as const,
    custodial: true,
  }
  const session = await byKey.call(openSession, { body })
  expect(session).toMatchObject({ status: 'active', custodial: true })
  expect(await balanceOf(byKey)).toMatchObject({ availableMicros: 4_000_000n, committedMicros: 1_000_000n })
  const params = { id: session.id }
  const runs = await Promise.all(
    [1, 2].map(() =>
      byKey.call(execute, { params, body: { tool: 'block', args: {}, maxCostMicros: micros(100_000n) } }),
    ),
  )
  for (const run of runs) {
    const work = await node.dispatchOf(run.id)
    expect(await node.finish(work, 100)).toMatchObject({ type: 'receiptAck' })
  }
  expect(await balanceOf(byKey)).toMatchObject({ committedMicros: 0n, inSessionsMicros: 1_000_000n })
  // No more was ever authorised than what was held: the coordinator signs as an agent would.
  expect((await byKey.call(getSession, { params })).authorisedMicros).toBe(200_000n)
  await byKey.call(endSession, { params })
  const settled = async () => (await byKey.call(getSession, { params })).status
  await expect.poll(settled, { timeout: 30_000 }).toBe('settled')
  expect(await balanceOf(orien)).toMatchObject({
    availableMicros: 4_998_000n,
    committedMicros: 0n,
    inSessionsMicros: 0n,
  })
})

test('a session that never ran gives its budget back at once', async () => {
  const { byKey } = await deposited(stack, 1_000_000n)
  const body = {
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
    rail: 'escrow' as const,
    custodial: true,
  }
  const session = await byKey.call(openSession, { body })
  await expect(byKey.call(openSession, { body })).rejects.toMatchObject({ code: 'insufficient_funds' })
  await byKey.call(endSession, { params: { id: session.id } })
  expect(await balanceOf(byKey)).toMatchObject({ availableMicros: 1_000_000n, committedMicros: 0n })
})

test('20 sessions at once on a balance for three: three are opened', async () => {
  const { byKey } = await deposited(stack, 3_500_000n)
  const body = {
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
    rail: 'escrow' as const,
    custodial: true,
  }
  const opened = await Promise.allSettled(Array.from({ length: 20 }, () => byKey.call(openSession, { body })))
  expect(opened.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  for (const outcome of opened)
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'insufficient_funds' })
  expect(await balanceOf(byKey)).toMatchObject({ availableMicros: 500_000n, committedMicros: 3_000_000n })
})

test('no more than the cap is kept, deposits under way and money in sessions included', async () => {
  const owner = await deposited(stack, 99_000_000n)
  await stack.chain.mint(owner.account.address, 2_000_000n)
  const body = {
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
    rail: 'escrow' as const,
    custodial: true,
  }
  await owner.byKey.call(openSession, { body })
  const refused = owner.orien.call(pay, { body: await transferOf(owner, 1_000_001n) })
  await expect(refused).rejects.toMatchObject({ code: 'custodial_cap_exceeded' })
  await owner.orien.call(pay, { body: await transferOf(owner, 1_000_000n) })
  const another = owner.orien.call(pay, { body: await transferOf(owner, 10_000n) })
  await expect(another).rejects.toMatchObject({ code: 'custodial_cap_exceeded' })
})

test('a transfer to somebody else, of another amount, by another wallet or without funds is refused', async () => {
  const owner = await ownerOf(stack, 1_000_000n)
  const stranger = await ownerOf(stack, 0n)
  const call = (body: Awaited<ReturnType<typeof transferOf>>) => owner.orien.call(pay, { body })
  const lies: Changes[] = [{ to: `0x${'9'.repeat(40)}` }, { value: 2n }, { signer: stranger }]
  for (const lie of lies)
    await expect(call(await transferOf(owner, 500_000n, lie))).rejects.toMatchObject({
      code: 'signature_invalid',
    })
  await expect(call(await transferOf(owner, 1_000_001n))).rejects.toMatchObject({
    code: 'insufficient_funds',
  })
  const once = await transferOf(owner, 500_000n)
  await call(once)
  await expect
    .poll(async () => (await balanceOf(owner.orien)).availableMicros, { timeout: 20_000 })
    .toBe(500_000n)
  await expect(call(once)).rejects.toMatchObject({ code: 'deposit_refused' })
  expect((await balanceOf(owner.orien)).availableMicros).toBe(500_000n)
})

test('a withdrawal goes to the wallet and nowhere else, once for one key, and never above what is free', async () => {
  const owner = await deposited(stack, 2_000_000n)
  const body = { operation: 'withdraw' as const, amountMicros: micros(1_500_000n) }
  await expect(
    owner.byKey.call(pay, { body: { ...body, amountMicros: micros(2_000_001n) } }),
  ).rejects.toMatchObject({ code: 'insufficient_funds' })
  const key = { idempotencyKey: 'withdrawal-1' }
  const answers = await Promise.all(Array.from({ length: 10 }, () => owner.byKey.call(pay, { body }, key)))
  for (const answer of answers) expect(answer).toEqual(answers[0])
  await expect.poll(() => walletOf(stack, owner), { timeout: 20_000 }).toBe(1_500_000n)
  await expect.poll(async () => (await balanceOf(owner.byKey)).withdrawingMicros).toBe(0n)
  expect(await balanceOf(owner.byKey)).toMatchObject({ availableMicros: 500_000n })
  // Everything that is left, without naming it.
  await owner.orien.call(pay, { body: { operation: 'withdraw' } })
  await expect.poll(() => walletOf(stack, owner), { timeout: 20_000 }).toBe(2_000_000n)
  await expect(owner.orien.call(pay, { body: { operation: 'withdraw' } })).rejects.toMatchObject({
    code: 'insufficient_funds',
  })
})

test('a withdrawal that somebody else has submitted counts as paid, and is not paid again', async () => {
  const owner = await deposited(stack, 1_000_000n)
  await cutAt(pool, 'signed')
  await owner.orien.call(pay, { body: { operation: 'withdraw', amountMicros: micros(600_000n) } })
  const { rows } = await pool.query(
    `select data, reference from transactions where kind = 'withdrawal' and amount_micros = 600000`,
  )
  const [submitted] = rows
  const client = connectChain(chains.local, stack.chain.rpcUrl)
  const relayer = signerFromPrivateKey(generatePrivateKey())
  await stack.chain.fund(relayer.address)
  await sendCall(client, chains.local, relayer, { to: stack.chain.usdc, data: submitted.data })
  await expect.poll(() => walletOf(stack, owner), { timeout: 20_000 }).toBe(600_000n)
  await mend(pool)
  const state = async () =>
    (await pool.query('select status from transactions where reference = $1', [submitted.reference])).rows
  await expect.poll(state, { timeout: 20_000 }).toEqual([{ status: 'failed' }])
  expect((await balanceOf(owner.orien)).withdrawingMicros).toBe(600_000n)
  await pool.query(`update transactions set updated_at = now() - interval '5 minutes' where reference = $1`, [
    submitted.reference,
  ])
  await expect
    .poll(async () => (await balanceOf(owner.orien)).withdrawingMicros, { timeout: 20_000 })
    .toBe(0n)
  expect(await walletOf(stack, owner)).toBe(600_000n)
  expect(await balanceOf(owner.orien)).toMatchObject({ availableMicros: 400_000n })
})

test('a withdrawal is paid exactly once, wherever the coordinator is killed on its way', async () => {
  const owner = await deposited(stack, 4_000_000n)
  const before = await custodyWallet(stack, owner)
  await stack.coordinator.stop()
  const child = coordinatorProcess()
  try {
    await child.start()
    let paid = 0n
    for (const state of ['signed', 'broadcast', 'mined', 'final']) {
      await cutAt(pool, state)
      await owner.orien.call(pay, { body: { operation: 'withdraw', amountMicros: micros(1_000_000n) } })
      await untilCut(state)
      await child.end('SIGKILL')
      await mend(pool)
      await child.start()
      paid += 1_000_000n
      await expect.poll(() => walletOf(stack, owner), { timeout: 30_000 }).toBe(paid)
      await expect
        .poll(async () => (await balanceOf(owner.orien)).withdrawingMicros, { timeout: 30_000 })
        .toBe(0n)
    }
    expect(await custodyWallet(stack, owner)).toBe(before - paid)
    expect(await balanceOf(owner.orien)).toMatchObject({ availableMicros: 0n })
  } finally {
    await child.end('SIGKILL')
    // This one has ended already.
    stack.coordinator = { ...stack.coordinator, stop: async () => undefined }
    await stack.restart()
  }
}, 180_000)

const EARLIER: Record<string, string> = {
  signed: 'planned',
  broadcast: 'signed',
  mined: 'broadcast',
  final: 'mined',
}

async function untilCut(state: string): Promise<void> {
  const look = async () => {
    const { rows } = await pool.query(
      `select count(*)::int as there from transactions where kind = 'withdrawal' and status = $1`,
      [EARLIER[state]],
    )
    return rows[0].there
  }
  await expect.poll(look, { timeout: 30_000 }).toBe(1)
}

function coordinatorProcess() {
  const settings = {
    config: {
      ...{
        host: '127.0.0.1',
        port: Number(new URL(stack.url).port),
        baseUrl: stack.url,
        dataDir: stack.dataDir,
      },
      ...{ isProduction: false, requestsPerMinute: 1_000_000, leaseMs: 900_000, sweepEveryMs: 1_000 },
      ...{ logLevel: 'silent', version: 'test' },
    },
    databaseUrl: stack.database.url,
    ...{ rpcUrl: stack.chain.rpcUrl, directRpcUrl: stack.chain.rpcUrl, profile: 'local' },
  }
  const program = new URL('../chaos/parts/coordinator.ts', import.meta.url).pathname
  return manageProcess(() => ({
    name: 'coordinator',
    command: [process.execPath, program, JSON.stringify(settings)],
    logFile: '/dev/null',
    isReady: (line) => line === 'ready',
  }))
}
