import { randomBytes } from 'node:crypto'
import type { createPool } from '@orien/coordinator'
import { createKey, getBalance, type Hex, micros, pay } from '@orien/protocol'
import { chains, connectChain, readBalance } from '@orien/rails'
import { Orien } from '@orien/sdk'
import { expect } from 'vitest'
import { authorizationTypes } from '../../packages/contracts/src/index.ts'
import { createAgent, type Stack, type TestAgent } from './stack.ts'

type Pool = ReturnType<typeof createPool>

/** A wallet's owner with an API key, which is all that its agent has. */
export async function ownerOf(stack: Stack, usdcMicros: bigint) {
  const owner = await createAgent(stack, usdcMicros)
  const body = {
    name: 'agent',
    scopes: ['read' as const, 'spend' as const],
    spendCapMicros: micros(50_000_000n),
  }
  const { secret } = await owner.orien.call(createKey, { body })
  return { ...owner, byKey: new Orien({ baseUrl: stack.url, token: secret }) }
}

export const balanceOf = (of: Orien) => of.call(getBalance, {})

export type Changes = { to?: Hex; value?: bigint; signer?: TestAgent; nonce?: Hex; validMs?: number }

/** The wallet's signature under a transfer to the custody wallet, or under another with these changes. */
export async function transferOf(owner: TestAgent, amount: bigint, changes: Changes = {}) {
  const { deposit: to } = await balanceOf(owner.orien)
  const nonce = changes.nonce ?? (`0x${randomBytes(32).toString('hex')}` as Hex)
  const validMs = changes.validMs ?? 600_000
  const window = { validAfter: 0, validBefore: Math.floor((Date.now() + validMs) / 1_000) }
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

/** An owner whose deposit is final. */
export async function deposited(stack: Stack, amount: bigint) {
  const owner = await ownerOf(stack, amount)
  const answer = await owner.orien.call(pay, { body: await transferOf(owner, amount) })
  await expect
    .poll(async () => (await balanceOf(owner.byKey)).availableMicros, { timeout: 20_000 })
    .toBe(amount)
  return { ...owner, answer }
}

async function onChain(stack: Stack, account: Hex): Promise<bigint> {
  const client = connectChain(chains.local, stack.chain.rpcUrl)
  const reading = await readBalance(client, stack.chain.usdc, account)
  return reading.status === 'read' ? reading.micros : -1n
}
/** What an owner's wallet holds. */
export const walletOf = (stack: Stack, owner: TestAgent) => onChain(stack, owner.account.address)
/** What the custody wallet holds. */
export const custodyWallet = async (stack: Stack, owner: TestAgent) =>
  onChain(stack, (await balanceOf(owner.orien)).deposit.to)

/** As if the power went at the very commit that would move a transfer there. */
export async function cutAt(pool: Pool, state: string, kind = 'withdrawal'): Promise<void> {
  await pool.query(`create function cut() returns trigger language plpgsql as $$ begin
    if new.kind = '${kind}' and new.status = '${state}' then raise exception 'cut'; end if; return new; end $$`)
  await pool.query('create trigger cut before update on transactions for each row execute function cut()')
}

/** From here on they move again. */
export async function mend(pool: Pool): Promise<void> {
  await pool.query('drop trigger cut on transactions')
  await pool.query('drop function cut()')
}
