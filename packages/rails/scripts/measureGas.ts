import type { Hex } from 'viem'
import {
  approve,
  openChannel,
  openingNonce,
  randomNonce,
  signClaim,
  signDeposit,
  signVoucher,
  toppingUpNonce,
} from '../src/escrow/testing/channel.ts'
import { escrowDomain, signEscrow } from '../src/escrow/testing/typedData.ts'
import { openWorld } from '../src/escrow/testing/world.ts'
import { randomWord } from '../src/random.ts'

/** Prints what each call costs with the real USDC behind its proxy, as the table of the README. */
const world = await openWorld()
const deadline = 2n ** 40n
const rows: string[] = []

type Mined = Awaited<ReturnType<typeof world.act>>
function row(name: string, mined: Mined): void {
  rows.push(`| ${name} | ${mined.status === 'ok' ? mined.gasUsed.toLocaleString('en') : mined.error} |`)
}

const relayer = await world.actor()
const channel = await openChannel(world)
const { id, payee, payer, session } = channel
const voucher = (micros: bigint, of = channel) => signVoucher(world, of, micros)
const { usdc, escrow } = world.chain

async function relayedOpen(): Promise<Mined> {
  const from = await world.actor(1_000_000n)
  const salt = randomWord()
  const nonce = openingNonce(from.address, payee.address, usdc, salt, session.address)
  const { validAfter, validBefore, signature } = await signDeposit(world, from, 1_000_000n, nonce)
  const terms = [payee.address, usdc, 1_000_000n, salt, session.address, from.address] as const
  return world.act(relayer, 'openWithAuthorization', [...terms, validAfter, validBefore, nonce, signature])
}

async function relayedTopUp(): Promise<Mined> {
  await world.chain.mint(payer.address, 500n)
  const salt = randomWord()
  const nonce = toppingUpNonce(id, 500n, payer.address, salt)
  const { validAfter, validBefore, signature } = await signDeposit(world, payer, 500n, nonce)
  const args = [id, 500n, payer.address, salt, validAfter, validBefore, nonce, signature] as const
  return world.act(relayer, 'topUpWithAuthorization', args)
}

async function relayedClaim(
  kind: 'Claim' | 'ClaimAndClose',
  of: typeof channel,
  micros: bigint,
): Promise<Mined> {
  const nonce = randomNonce()
  const terms = { channelId: of.id, claimAmount: micros, nonce, deadline }
  const claim = await signClaim(world, kind, of.payee, terms)
  const args = [of.id, micros, 900_000n, await voucher(900_000n, of), nonce, deadline, claim] as const
  if (kind === 'Claim') return world.act(relayer, 'claimWithAuthorization', args)
  return world.act(relayer, 'claimAndCloseWithAuthorization', args)
}

async function relayedOperator(): Promise<Mined> {
  const message = { owner: payee.address, operator: relayer.address, allowed: true, nonce: 1n, deadline }
  const signature: Hex = await signEscrow(payee, escrowDomain(escrow), 'SetOperator', message)
  const args = [payee.address, relayer.address, true, 1n, deadline, signature] as const
  return world.act(relayer, 'setOperatorWithAuthorization', args)
}

async function relayedRequest(of: typeof channel): Promise<Mined> {
  const message = { channelId: of.id, nonce: 1n, deadline }
  const signature = await signEscrow(of.session, escrowDomain(escrow), 'RequestClose', message)
  return world.act(relayer, 'requestCloseWithAuthorization', [of.id, 1n, deadline, signature])
}

const opener = await world.actor(1_000n)
await approve(world, opener, 1_000n)
const opened = [payee.address, usdc, 1_000n, randomWord(), session.address] as const
row('`open`', await world.act(opener, 'open', opened))
row('`openWithAuthorization`', await relayedOpen())
row('`topUpWithAuthorization`', await relayedTopUp())
row('`settle`, first payout of all', await world.act(payee, 'settle', [id, 1_000n, await voucher(1_000n)]))
row('`settle`, later', await world.act(payee, 'settle', [id, 2_000n, await voucher(2_000n)]))
row('`claim`', await world.act(payee, 'claim', [id, 3_000n, 900_000n, await voucher(900_000n)]))
row('`claimWithAuthorization`', await relayedClaim('Claim', channel, 4_000n))
row('`claimAndCloseWithAuthorization`', await relayedClaim('ClaimAndClose', channel, 5_001n))
const onlyClaim = await openChannel(world, 1_000_000n, { payee })
row('`claimAndCloseWithAuthorization`, only claim', await relayedClaim('ClaimAndClose', onlyClaim, 5_001n))
const direct = await openChannel(world, 1_000_000n, { payee })
const closing = [direct.id, 5_001n, 900_000n, await voucher(900_000n, direct)] as const
row('`claimAndClose`, only claim', await world.act(payee, 'claimAndClose', closing))
const forfeited = await openChannel(world, 1_000_000n, { payee })
row('`claimAndClose` of nothing', await world.act(payee, 'claimAndClose', [forfeited.id, 0n, 0n, '0x']))
row('`setOperatorWithAuthorization`', await relayedOperator())
const left = await openChannel(world)
row('`requestCloseWithAuthorization`', await relayedRequest(left))
await world.pass(900)
row('`withdraw`', await world.act(relayer, 'withdraw', [left.id]))
await world.tokenOwner('blacklist', [payee.address])
const blocked = await openChannel(world, 1_000_000n, { payee })
const toBlocked = [blocked.id, 5_001n, 900_000n, await voucher(900_000n, blocked)] as const
row('`claimAndClose`, payee blocklisted', await world.act(payee, 'claimAndClose', toBlocked))
await world.close()
console.log(`| call | gas |\n|---|---:|\n${rows.join('\n')}`)
