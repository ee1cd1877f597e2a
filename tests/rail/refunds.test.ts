import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { auditLedger, createPool } from '@orien/coordinator'
import { getProvider, getSolvency, micros, parseBill, readRefunds, refundSession } from '@orien/protocol'
import { verifyBillText, verifyEd25519 } from '@orien/sdk'
import { createPublicClient, http, toHex } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { spawnOrien } from '../../apps/orien/src/commands/fixtures/spawnOrien.ts'
import { fiatTokenAbi } from '../../packages/contracts/src/index.ts'
import { type ScriptedNode, scriptedTool, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

// Whole sessions with their settlements, and commands in processes of their own.
vi.setConfig({ testTimeout: 180_000 })

let stack: Stack
let node: ScriptedNode
let agent: TestAgent
/** A session with a refund. */
let refunded: Awaited<ReturnType<typeof settle>>['session'] | undefined

const image = { name: 'image.png', sha256: 'a'.repeat(64), bytes: 7 }
/** Of every local chain; its fourth account is the reserve. */
const PUBLIC_MNEMONIC = 'test test test test test test test test test test test junk'
const RUN_MS = 200
/** At 10 micro-USDC a millisecond. */
const COST = 2_000n
const RESERVE_SHARE = 60n

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack, { ...scriptedTool, outputs: ['image.png', '*.log'] })
  agent = await createAgent(stack, 20_000_000n)
})
afterAll(() => stack.stop())

/** A settled session with one run that has written these files. */
async function settle(outputs: (typeof image)[]) {
  const { providerId } = node
  const session = await agent.orien.openSession({ providerId, budgetMicros: micros(100_000n) })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  await node.finish(await node.dispatchOf(run.id), RUN_MS, { outputs })
  await run.wait()
  const settled = async () => {
    await session.end()
    return session.settled()
  }
  return { session, executionId: run.id, settled }
}

const ask = (id: Parameters<typeof agent.orien.session>[0]) =>
  agent.orien.call(refundSession, { params: { id } }, { idempotencyKey: `${id}-${Math.random()}` })

test('a run that wrote what its tool promises is not refunded, nor anything before the settlement is final', async () => {
  const { session, settled } = await settle([image])
  await expect(ask(session.id)).rejects.toMatchObject({ code: 'illegal_transition' })
  await settled()
  expect(await ask(session.id)).toMatchObject({ items: [], refundedMicros: 0n })
  const stranger = await createAgent(stack, 0n)
  const attempt = stranger.orien.call(refundSession, { params: { id: session.id } }, { idempotencyKey: 'x' })
  await expect(attempt).rejects.toMatchObject({ code: 'not_found' })
})

test('a run without a promised file is refunded once, out of what this provider itself put into the reserve', async () => {
  const { session, executionId, settled } = await settle([])
  await settled()
  const shares = 2n * RESERVE_SHARE
  const item = { cause: 'missing_output', subject: executionId, lostMicros: COST, refundedMicros: shares }
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask(session.id)))
  for (const answer of answers) expect(answer).toMatchObject({ items: [item], refundedMicros: shares })
})

test('a refund stands in the bill, signed by the coordinator, and whoever verifies the bill checks it', async () => {
  const { session, executionId, settled } = await settle([])
  await settled()
  const before = await session.bill()
  await ask(session.id)
  refunded = session
  const text = await session.bill()
  const rpcUrl = stack.chain.rpcUrl
  for (const bill of [before, text])
    expect(await verifyBillText(bill, { rpcUrl })).toMatchObject({ verdict: 'verified' })
  const parsed = parseBill(text)
  const { refunds = '', coordinatorKey = '' } = parsed.ok ? parsed.bill : {}
  const item = { subject: executionId, lostMicros: COST, refundedMicros: RESERVE_SHARE }
  expect(readRefunds(refunds, coordinatorKey, verifyEd25519)?.refunds).toMatchObject([item])
  const forged = text.replace(refunds, `${refunds.slice(0, -4)}AAAA`)
  expect(await verifyBillText(forged)).toMatchObject({ verdict: 'rejected', failure: { line: 'refunds' } })
  const dir = mkdtempSync(join(tmpdir(), 'orien-refund-'))
  writeFileSync(join(dir, 'bill.json'), text)
  const verified = await spawnOrien(['verify', join(dir, 'bill.json'), '--rpc-url', rpcUrl])
  expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining('✓ refunds[0]') })
  const key = join(dir, 'agent.key')
  writeFileSync(key, agent.privateKey, { mode: 0o600 })
  const shown = await spawnOrien(['bill', session.id, '--coordinator', stack.url, '--key-file', key])
  expect(shown.stdout).toContain(
    `refunded by rule 0.000060 of 0.002000 USDC: missing_output ${executionId}, owed by the reserve`,
  )
  rmSync(dir, { recursive: true, force: true })
})

test('attack: agent and provider are one, and every run lacks its file; they lose seven in a hundred of all they pay', async () => {
  const runs = 5
  for (let index = 0; index < runs; index += 1) {
    const { session, settled } = await settle([])
    await settled()
    expect(await ask(session.id)).toMatchObject({ refundedMicros: RESERVE_SHARE })
  }
  // The three sessions above are theirs, too.
  const sessions = BigInt(runs) + 3n
  const paid = sessions * COST
  const earned = (paid * 9n) / 10n
  const refunded = sessions * RESERVE_SHARE
  expect(paid - earned - refunded).toBe((paid * 7n) / 100n)
  const { liabilities } = await agent.orien.call(getSolvency, {})
  expect(liabilities).toMatchObject({ reserveMicros: 0n, refundsMicros: refunded })
  const { reputation } = await agent.orien.call(getProvider, { params: { id: node.providerId } })
  expect(reputation.refundedMicros).toBe(refunded)
})

test('what is refunded stays covered by the reserve’s account, and the books balance', async () => {
  const { isSolvent, holdings, liabilities } = await agent.orien.call(getSolvency, {})
  expect(isSolvent).toBe(true)
  expect(holdings.reserveMicros).toBe(liabilities.reserveMicros + liabilities.refundsMicros)
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const drift = await auditLedger(pool).finally(() => pool.end())
  expect(drift.filter(({ violations }) => violations > 0)).toEqual([])
})

test('attack: what another session has emptied is asked for again and again; it is refused with a code, and nothing moves', async () => {
  const [first, second] = [await settle([]), await settle([])]
  await first.settled()
  await second.settled()
  expect(await ask(second.session.id)).toMatchObject({ refundedMicros: 2n * RESERVE_SHARE })
  const before = await agent.orien.call(getSolvency, {})
  for (let attempt = 0; attempt < 3; attempt += 1)
    await expect(ask(first.session.id)).rejects.toMatchObject({ code: 'refund_exhausted' })
  const { liabilities } = await agent.orien.call(getSolvency, {})
  expect(liabilities).toMatchObject({ reserveMicros: 0n, refundsMicros: before.liabilities.refundsMicros })
  // A bill names no refund that nobody owes.
  expect(await first.session.bill()).not.toContain('refunds')
})

/** The bill of the first session with a refund names the payment, and whoever verifies it finds it on the chain. */
async function isOnItsBill(dir: string): Promise<void> {
  const session = refunded ?? expect.fail('a session was refunded')
  const rpcUrl = stack.chain.rpcUrl
  const text = await session.bill()
  expect(await verifyBillText(text, { rpcUrl })).toMatchObject({ verdict: 'verified' })
  const parsed = parseBill(text)
  const bill = parsed.ok ? parsed.bill : expect.fail('it is a bill')
  const [payment] = bill.refundPayments ?? []
  expect(payment).toMatchObject({ cause: 'missing_output', paidMicros: RESERVE_SHARE })
  const settled = bill.settlement?.txHash ?? ''
  const forgeries: [string, string][] = [
    [text.replace(payment?.txHash ?? '', settled), 'refundPayments[0].txHash'],
    [text.replace(payment?.txHash ?? '', `0x${'ab'.repeat(32)}`), 'refundPayments[0].txHash'],
    [text.replace('"paidMicros":"60"', '"paidMicros":"61"'), 'refundPayments[0]'],
  ]
  for (const [forged, line] of forgeries)
    expect(await verifyBillText(forged, { rpcUrl })).toMatchObject({ verdict: 'rejected', failure: { line } })
  writeFileSync(join(dir, 'bill.json'), text)
  const verified = await spawnOrien(['verify', join(dir, 'bill.json'), '--rpc-url', rpcUrl])
  expect(verified).toMatchObject({ code: 0, stdout: expect.stringMatching(/✓ refundPayments\[0\].*txHash/) })
  const key = join(dir, 'agent.key')
  writeFileSync(key, agent.privateKey, { mode: 0o600 })
  const shown = await spawnOrien(['bill', session.id, '--coordinator', stack.url, '--key-file', key])
  expect(shown.stdout).toContain(`paid 0.000060 in ${payment?.txHash}`)
}

test('what the reserve owes is paid once, also when the record of the payment is lost, and only with its key', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'orien-reserve-'))
  const keyFile = join(dir, 'reserve.key')
  const { privateKey } = mnemonicToAccount(PUBLIC_MNEMONIC, { addressIndex: 3 }).getHdKey()
  writeFileSync(keyFile, toHex(privateKey ?? new Uint8Array(32)), { mode: 0o600 })
  const wrongFile = join(dir, 'wrong.key')
  writeFileSync(wrongFile, agent.privateKey, { mode: 0o600 })
  const env = { DATABASE_URL: stack.database.url, ORIEN_RPC_URL: stack.chain.rpcUrl }
  const pay = (file: string) => spawnOrien(['refunds', '--json', '--reserve-key-file', file], { env })
  const wrong = await pay(wrongFile)
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('forbidden') })
  const reader = createPublicClient({ transport: http(stack.chain.rpcUrl) })
  const holds = () =>
    reader.readContract({
      address: stack.chain.usdc,
      abi: fiatTokenAbi,
      functionName: 'balanceOf',
      args: [agent.account.address],
    })
  const before = await holds()
  const { liabilities } = await agent.orien.call(getSolvency, {})
  const paid = await pay(keyFile)
  expect(paid.code, paid.stderr).toBe(0)
  expect(await holds()).toBe(before + liabilities.refundsMicros)
  // As after a kill between the payment and its record.
  const pool = createPool({ url: stack.database.url, connections: 1 })
  await pool.query(`delete from ledger_transfers where kind = 'reserve_payout'`)
  expect((await pay(keyFile)).code).toBe(0)
  expect(await holds()).toBe(before + liabilities.refundsMicros)
  await isOnItsBill(dir)
  const { rows } = await pool.query(
    `select sum(amount_micros)::text as left from ledger_entries where account like 'agents:%:refunds'`,
  )
  expect(rows).toEqual([{ left: '0' }])
  await pool.end()
  rmSync(dir, { recursive: true, force: true })
})
