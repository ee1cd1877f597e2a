import { randomBytes } from 'node:crypto'
import { auditLedger, createPool } from '@orien/coordinator'
import {
  createKey,
  endSession,
  execute,
  getBalance,
  getSession,
  type Hex,
  listPayments,
  micros,
  openSession,
  pay,
} from '@orien/protocol'
import { chains, connectChain, readBalance, sendCall, signerFromPrivateKey } from '@orien/rails'
import { Orien } from '@orien/sdk'
import { generatePrivateKey } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { authorizationTypes } from '../../packages/contracts/src/index.ts'
import { manageProcess } from '../harness/processes.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

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

/** A wallet's owner with an API key, which is all that its agent has. */
async function ownerOf(usdcMicros: bigint) {
  const owner = await createAgent(stack, usdcMicros)
  const body = {
    name: 'agent',
    scopes: ['read' as const, 'spend' as const],
    spendCapMicros: micros(50_000_000n),
  }
  const { secret } = await owner.orien.call(createKey, { body })
  return { ...owner, byKey: new Orien({ baseUrl: stack.url, token: secret }) }
}

const balanceOf = (of: Orien) => of.call(getBalance, {})

type Changes = { to?: Hex; value?: bigint; signer?: TestAgent }

async function transferOf(owner: TestAgent, amount: bigint, changes: Changes = {}) {
  const { deposit: to } = await balanceOf(owner.orien)
  const nonce = `0x${randomBytes(32).toString('hex')}` as Hex
  const window = { validAfter: 0, validBefore: Math.floor(Date.now() / 1_000) + 600 }
  const signature = await (changes.signer ?? owner).account.signTypedData({
    domain: {
      name: to.tokenName,
      version: to.tokenVersion,
      chainId: to.chainId,
      verifyingContract: to.token,
    },
    types: authorizationTypes,
    primaryType: 'TransferWithAuthorization',
    message: {
      from: owner.account.address,
      to: changes.to ?? to.to,
      value: changes.value ?? amount,
      validAfter: 0n,
      validBefore: BigInt(window.validBefore),
      nonce,
    },
  })
  const deposit = { valueMicros: micros(amount), ...window, nonce, signature }
  return { operation: 'deposit' as const, additionalMicros: micros(amount), topUpSalt: nonce, deposit }
}

async function deposited(amount: bigint) {
  const owner = await ownerOf(amount)
  const answer = await owner.orien.call(pay, { body: await transferOf(owner, amount) })
  await expect
    .poll(async () => (await balanceOf(owner.byKey)).availableMicros, { timeout: 20_000 })
    .toBe(amount)
  return { ...owner, answer }
}

async function onChain(account: Hex): Promise<bigint> {
  const client = connectChain(chains.local, stack.chain.rpcUrl)
  const reading = await readBalance(client, stack.chain.usdc, account)
  return reading.status === 'read' ? reading.micros : -1n
}
const walletOf = (owner: TestAgent) => onChain(owner.account.address)
const custodyWallet = async (owner: TestAgent) => onChain((await balanceOf(owner.orien)).deposit.to)

test('a deposit is credited when it is final on the chain, not before, and is called custodial', async () => {
  const { answer, orien } = await deposited(5_000_000n)
  expect(answer).toMatchObject({ operation: 'deposit', balance: { custodial: true, availableMicros: 0n } })
  const { items } = await orien.call(listPayments, { query: { limit: 10 } })
  expect(items).toMatchObject([{ operation: 'custodialDeposit', amountMicros: 5_000_000n, status: 'final' }])
})

test('an API key opens, runs and ends a session on the balance with no signature of its own', async () => {
  const { byKey, orien } = await deposited(5_000_000n)
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
  const { byKey } = await deposited(1_000_000n)
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
  const { byKey } = await deposited(3_500_000n)
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
  const owner = await deposited(99_000_000n)
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
  const owner = await ownerOf(1_000_000n)
  const stranger = await ownerOf(0n)
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
  const owner = await deposited(2_000_000n)
  const body = { operation: 'withdraw' as const, amountMicros: micros(1_500_000n) }
  await expect(
    owner.byKey.call(pay, { body: { ...body, amountMicros: micros(2_000_001n) } }),
  ).rejects.toMatchObject({ code: 'insufficient_funds' })
  const key = { idempotencyKey: 'withdrawal-1' }
  const answers = await Promise.all(Array.from({ length: 10 }, () => owner.byKey.call(pay, { body }, key)))
  for (const answer of answers) expect(answer).toEqual(answers[0])
  await expect.poll(() => walletOf(owner), { timeout: 20_000 }).toBe(1_500_000n)
  await expect.poll(async () => (await balanceOf(owner.byKey)).withdrawingMicros).toBe(0n)
  expect(await balanceOf(owner.byKey)).toMatchObject({ availableMicros: 500_000n })
  // Everything that is left, without naming it.
  await owner.orien.call(pay, { body: { operation: 'withdraw' } })
  await expect.poll(() => walletOf(owner), { timeout: 20_000 }).toBe(2_000_000n)
  await expect(owner.orien.call(pay, { body: { operation: 'withdraw' } })).rejects.toMatchObject({
    code: 'insufficient_funds',
  })
})

/** As if the power went at the very commit that would move a withdrawal there. */
async function cutAt(state: string): Promise<void> {
  await pool.query(`create function cut() returns trigger language plpgsql as $$ begin
    if new.kind = 'withdrawal' and new.status = '${state}' then raise exception 'cut'; end if; return new; end $$`)
  await pool.query('create trigger cut before update on transactions for each row execute function cut()')
}

async function mend(): Promise<void> {
  await pool.query('drop trigger cut on transactions')
  await pool.query('drop function cut()')
}

test('a withdrawal that somebody else has submitted counts as paid, and is not paid again', async () => {
  const owner = await deposited(1_000_000n)
  await cutAt('signed')
  await owner.orien.call(pay, { body: { operation: 'withdraw', amountMicros: micros(600_000n) } })
  const { rows } = await pool.query(
    `select data, reference from transactions where kind = 'withdrawal' and amount_micros = 600000`,
  )
  const [submitted] = rows
  const client = connectChain(chains.local, stack.chain.rpcUrl)
  const relayer = signerFromPrivateKey(generatePrivateKey())
  await stack.chain.fund(relayer.address)
  await sendCall(client, chains.local, relayer, { to: stack.chain.usdc, data: submitted.data })
  await expect.poll(() => walletOf(owner), { timeout: 20_000 }).toBe(600_000n)
  await mend()
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
  expect(await walletOf(owner)).toBe(600_000n)
  expect(await balanceOf(owner.orien)).toMatchObject({ availableMicros: 400_000n })
})

test('a withdrawal is paid exactly once, wherever the coordinator is killed on its way', async () => {
  const owner = await deposited(4_000_000n)
  const before = await custodyWallet(owner)
  await stack.coordinator.stop()
  const child = coordinatorProcess()
  try {
    await child.start()
    let paid = 0n
    for (const state of ['signed', 'broadcast', 'mined', 'final']) {
      await cutAt(state)
      await owner.orien.call(pay, { body: { operation: 'withdraw', amountMicros: micros(1_000_000n) } })
      await untilCut(state)
      await child.end('SIGKILL')
      await mend()
      await child.start()
      paid += 1_000_000n
      await expect.poll(() => walletOf(owner), { timeout: 30_000 }).toBe(paid)
      await expect
        .poll(async () => (await balanceOf(owner.orien)).withdrawingMicros, { timeout: 30_000 })
        .toBe(0n)
    }
    expect(await custodyWallet(owner)).toBe(before - paid)
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
