import { auditLedger, createPool } from '@orien/coordinator'
import { getSolvency, type Hex, listPayments, pay } from '@orien/protocol'
import {
  chains,
  connectChain,
  encodeTransferWithAuthorization,
  sendCall,
  signerFromPrivateKey,
} from '@orien/rails'
import type { Orien } from '@orien/sdk'
import { encodeFunctionData, parseAbi } from 'viem'
import { generatePrivateKey } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../apps/coordinator/src/clock.ts'
import { spawnOrien } from '../../apps/orien/src/commands/fixtures/spawnOrien.ts'
import {
  balanceOf,
  custodyWallet,
  cutAt,
  deposited,
  mend,
  ownerOf,
  transferOf,
} from '../harness/custodialOwner.ts'
import { type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let pool: ReturnType<typeof createPool>
let laterMs = 0
const clock = { ...systemClock, now: () => new Date(systemClock.now().getTime() + laterMs) }

beforeAll(async () => {
  stack = await startStack({}, undefined, { clock })
  pool = createPool({ url: stack.database.url, connections: 2 })
})
afterAll(async () => {
  expect((await auditLedger(pool)).filter(({ violations }) => violations > 0)).toEqual([])
  await pool.end()
  await stack.stop()
})

/** Sends a call from a wallet that has nothing to do with anything. @returns what came of it */
async function sendAsStranger(call: { to: Hex; data: Hex }): Promise<string> {
  const stranger = signerFromPrivateKey(generatePrivateKey())
  await stack.chain.fund(stranger.address)
  const client = connectChain(chains.local, stack.chain.rpcUrl)
  return (await sendCall(client, chains.local, stranger, call)).status
}

/** Submits a signed transfer to the token past the coordinator, as anyone can who has seen it. */
async function submitElsewhere(
  owner: TestAgent,
  { deposit }: Awaited<ReturnType<typeof transferOf>>,
  to?: Hex,
): Promise<void> {
  const terms = (await balanceOf(owner.orien)).deposit
  const parties = { from: owner.account.address, to: to ?? terms.to }
  const call = encodeTransferWithAuthorization(terms.token, parties, deposit)
  expect(await sendAsStranger(call)).toBe('mined')
}

const untilAvailable = (owner: { byKey: Orien }, amount: bigint) =>
  expect.poll(async () => (await balanceOf(owner.byKey)).availableMicros, { timeout: 20_000 }).toBe(amount)

test('attack: a stranger submits a signed deposit before the coordinator does; it is credited to its agent, once', async () => {
  const [owner, stranger] = [await ownerOf(stack, 3_000_000n), await ownerOf(stack, 0n)]
  const body = await transferOf(owner, 3_000_000n)
  await submitElsewhere(owner, body)
  // The stranger shows it as its own.
  await expect(stranger.orien.call(pay, { body })).rejects.toMatchObject({ code: 'signature_invalid' })
  await owner.orien.call(pay, { body })
  await untilAvailable(owner, 3_000_000n)
  expect((await balanceOf(stranger.byKey)).availableMicros).toBe(0n)
  await expect(owner.orien.call(pay, { body })).rejects.toMatchObject({ code: 'deposit_refused' })
  const { items } = await owner.orien.call(listPayments, { query: { limit: 10 } })
  expect(items.filter(({ status }) => status === 'final')).toHaveLength(1)
})

test('attack: a stranger overtakes the relayer between plan and transaction; nothing is lost, nothing is paid twice', async () => {
  const owner = await ownerOf(stack, 2_000_000n)
  const body = await transferOf(owner, 2_000_000n)
  await cutAt(pool, 'signed', 'custody_deposit')
  await owner.orien.call(pay, { body })
  await submitElsewhere(owner, body)
  const before = await custodyWallet(stack, owner)
  await mend(pool)
  await untilAvailable(owner, 2_000_000n)
  expect(await custodyWallet(stack, owner)).toBe(before)
})

test('attack: a signature whose nonce was spent on another transfer credits nothing', async () => {
  const owner = await ownerOf(stack, 1_000_000n)
  const body = await transferOf(owner, 1_000_000n)
  // The same nonce under a transfer to the agent's other wallet.
  const other = `0x${'77'.repeat(20)}` as Hex
  const { nonce } = body.deposit
  const spent = await transferOf(owner, 1_000_000n, { to: other, nonce })
  await submitElsewhere(owner, spent, other)
  await stack.chain.mint(owner.account.address, 1_000_000n)
  await expect(owner.orien.call(pay, { body })).rejects.toMatchObject({ code: 'deposit_refused' })
  expect((await balanceOf(owner.byKey)).availableMicros).toBe(0n)
})

test('attack: a signature that its wallet has cancelled credits nothing, though the token calls it used', async () => {
  const owner = await ownerOf(stack, 1_000_000n)
  const body = await transferOf(owner, 1_000_000n)
  const { nonce } = body.deposit
  const { deposit: terms } = await balanceOf(owner.orien)
  const signature = await owner.account.signTypedData({
    domain: {
      name: terms.tokenName,
      version: terms.tokenVersion,
      chainId: terms.chainId,
      verifyingContract: terms.token,
    },
    types: {
      CancelAuthorization: [
        { name: 'authorizer', type: 'address' },
        { name: 'nonce', type: 'bytes32' },
      ],
    },
    primaryType: 'CancelAuthorization',
    message: { authorizer: owner.account.address, nonce },
  })
  const abi = parseAbi(['function cancelAuthorization(address authorizer, bytes32 nonce, bytes signature)'])
  const args = [owner.account.address, nonce, signature] as const
  const data = encodeFunctionData({ abi, functionName: 'cancelAuthorization', args })
  expect(await sendAsStranger({ to: terms.token, data })).toBe('mined')
  await expect(owner.orien.call(pay, { body })).rejects.toMatchObject({ code: 'deposit_refused' })
  expect((await balanceOf(owner.byKey)).availableMicros).toBe(0n)
})

test('attack: a nonce that is spent elsewhere after the deposit was accepted credits nothing', async () => {
  const owner = await ownerOf(stack, 1_000_000n)
  const body = await transferOf(owner, 1_000_000n)
  const other = `0x${'78'.repeat(20)}` as Hex
  await cutAt(pool, 'signed', 'custody_deposit')
  await owner.orien.call(pay, { body })
  const spent = await transferOf(owner, 1_000_000n, { to: other, nonce: body.deposit.nonce })
  await submitElsewhere(owner, spent, other)
  await mend(pool)
  const error = async () =>
    (await pool.query(`select error from transactions where reference like '%' || $1`, [body.deposit.nonce]))
      .rows
  await expect.poll(error, { timeout: 20_000 }).toEqual([{ error: 'NeverArrived' }])
  expect((await balanceOf(owner.byKey)).availableMicros).toBe(0n)
})

test('an authorisation that is valid for longer than a day is refused: somebody could submit it as long', async () => {
  const owner = await ownerOf(stack, 1_000_000n)
  const body = await transferOf(owner, 500_000n, { validMs: 2 * 86_400_000 })
  await expect(owner.orien.call(pay, { body })).rejects.toMatchObject({ code: 'deposit_refused' })
})

/** An answer is given again for two seconds: each question comes later than that. */
function readSolvency(of: Orien) {
  laterMs += 2_001
  return of.call(getSolvency, {})
}

/** Books that owe an agent more, or less again, than was deposited. */
const invent = (reference: string, amountMicros: bigint) =>
  pool.query(
    `insert into ledger_transfers (kind, reference, session_id, accounts, amounts_micros)
      values ('custody_deposit', $1, '', array['rails:custody:inbound', 'agents:none:available'],
        array[-$2::bigint, $2::bigint])`,
    [reference, amountMicros],
  )

test('balances count in the solvency that everybody sees, and in the comparison with the chain', async () => {
  const { orien } = await deposited(stack, 2_000_000n)
  const surplus = async () => {
    const { liabilities, holdings } = await readSolvency(orien)
    return holdings.custodyMicros - liabilities.custodialMicros
  }
  await expect.poll(surplus, { timeout: 20_000 }).toBe(0n)
  expect(await readSolvency(orien)).toMatchObject({ isSolvent: true, custodyMovingMicros: 0n })
  const check = 'the custody wallet holds at least what agents have in custodial balances'
  const env = { DATABASE_URL: stack.database.url, ORIEN_RPC_URL: stack.chain.rpcUrl }
  const violations = async () => {
    const { stdout } = await spawnOrien(['reconcile', '--json'], { env })
    const { checks } = JSON.parse(stdout) as { checks: { check: string; violations: number }[] }
    return checks.find((one) => one.check === check)?.violations
  }
  expect(await violations()).toBe(0)
  await invent('invented', 1n)
  expect(await violations()).toBe(1)
  expect(await readSolvency(orien)).toMatchObject({ isSolvent: false })
  await invent('invented back', -1n)
  expect(await violations()).toBe(0)
}, 60_000)
