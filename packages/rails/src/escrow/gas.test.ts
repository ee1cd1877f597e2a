import { readFileSync } from 'node:fs'
import type { Hex, PrivateKeyAccount } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { randomWord } from '../random.ts'
import {
  approve,
  openChannel,
  openingNonce,
  randomNonce,
  signClaim,
  signDeposit,
  signVoucher,
  type TestChannel,
  toppingUpNonce,
} from './testing/channel.ts'
import {
  batchedSessionGas,
  directSessionGas,
  keptSessionGas,
  openGasWorld,
  relayedSessionGas,
  transfersGas,
} from './testing/sessionGas.ts'
import { escrowDomain, signEscrow } from './testing/typedData.ts'
import { openWorld, type World } from './testing/world.ts'

const deadline = 2n ** 40n
let world: World
let relayer: PrivateKeyAccount
let channel: TestChannel
beforeAll(async () => {
  world = await openWorld()
  relayer = await world.actor()
  channel = await openChannel(world)
})
afterAll(() => world.close())

type Mined = Awaited<ReturnType<World['act']>>
const voucher = (micros: bigint, of = channel) => signVoucher(world, of, micros)

async function relayedOpen(): Promise<Mined> {
  const { payee, session } = channel
  const { usdc } = world.chain
  const from = await world.actor(1_000_000n)
  const salt = randomWord()
  const nonce = openingNonce(from.address, payee.address, usdc, salt, session.address)
  const { validAfter, validBefore, signature } = await signDeposit(world, from, 1_000_000n, nonce)
  const terms = [payee.address, usdc, 1_000_000n, salt, session.address, from.address] as const
  return world.act(relayer, 'openWithAuthorization', [...terms, validAfter, validBefore, nonce, signature])
}

async function relayedTopUp(): Promise<Mined> {
  const { id, payer } = channel
  await world.chain.mint(payer.address, 500n)
  const salt = randomWord()
  const nonce = toppingUpNonce(id, 500n, payer.address, salt)
  const { validAfter, validBefore, signature } = await signDeposit(world, payer, 500n, nonce)
  const args = [id, 500n, payer.address, salt, validAfter, validBefore, nonce, signature] as const
  return world.act(relayer, 'topUpWithAuthorization', args)
}

async function relayedClaim(
  kind: 'Claim' | 'ClaimAndClose',
  of: TestChannel,
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
  const { payee } = channel
  const { escrow } = world.chain
  const message = { owner: payee.address, operator: relayer.address, allowed: true, nonce: 1n, deadline }
  const signature: Hex = await signEscrow(payee, escrowDomain(escrow), 'SetOperator', message)
  const args = [payee.address, relayer.address, true, 1n, deadline, signature] as const
  return world.act(relayer, 'setOperatorWithAuthorization', args)
}

async function relayedRequest(of: TestChannel): Promise<Mined> {
  const message = { channelId: of.id, nonce: 1n, deadline }
  const signature = await signEscrow(of.session, escrowDomain(world.chain.escrow), 'RequestClose', message)
  return world.act(relayer, 'requestCloseWithAuthorization', [of.id, 1n, deadline, signature])
}

const costs = new Map<string, bigint | string>()
function add(call: string, mined: Mined): void {
  costs.set(call, mined.status === 'ok' ? mined.gasUsed : mined.error)
}

async function measureDepositsAndClaims(): Promise<void> {
  const { id, payee, session } = channel
  const { usdc } = world.chain
  const opener = await world.actor(1_000n)
  await approve(world, opener, 1_000n)
  const opened = [payee.address, usdc, 1_000n, randomWord(), session.address] as const
  add('`open`', await world.act(opener, 'open', opened))
  add('`openWithAuthorization`', await relayedOpen())
  add('`topUpWithAuthorization`', await relayedTopUp())
  add('`settle`, first payout of all', await world.act(payee, 'settle', [id, 1_000n, await voucher(1_000n)]))
  add('`settle`, later', await world.act(payee, 'settle', [id, 2_000n, await voucher(2_000n)]))
  add('`claim`', await world.act(payee, 'claim', [id, 3_000n, 900_000n, await voucher(900_000n)]))
  add('`claimWithAuthorization`', await relayedClaim('Claim', channel, 4_000n))
  add('`claimAndCloseWithAuthorization`', await relayedClaim('ClaimAndClose', channel, 5_001n))
}

async function measureEndings(): Promise<void> {
  const { payee } = channel
  const onlyClaim = await openChannel(world, 1_000_000n, { payee })
  add('`claimAndCloseWithAuthorization`, only claim', await relayedClaim('ClaimAndClose', onlyClaim, 5_001n))
  const direct = await openChannel(world, 1_000_000n, { payee })
  const closing = [direct.id, 5_001n, 900_000n, await voucher(900_000n, direct)] as const
  add('`claimAndClose`, only claim', await world.act(payee, 'claimAndClose', closing))
  const forfeited = await openChannel(world, 1_000_000n, { payee })
  add('`claimAndClose` of nothing', await world.act(payee, 'claimAndClose', [forfeited.id, 0n, 0n, '0x']))
  add('`setOperatorWithAuthorization`', await relayedOperator())
  const left = await openChannel(world)
  add('`requestCloseWithAuthorization`', await relayedRequest(left))
  await world.pass(900)
  add('`withdraw`', await world.act(relayer, 'withdraw', [left.id]))
  await world.tokenOwner('blacklist', [payee.address])
  const blocked = await openChannel(world, 1_000_000n, { payee })
  const toBlocked = [blocked.id, 5_001n, 900_000n, await voucher(900_000n, blocked)] as const
  add('`claimAndClose`, payee blocklisted', await world.act(payee, 'claimAndClose', toBlocked))
}

/** The page's table of whole sessions: its cells by the session's name, empty ones left out. */
function statedSessions(): Map<string, bigint[]> {
  const page = readFileSync(new URL('../../../../docs/gas.md', import.meta.url), 'utf8')
  const rows = page.matchAll(/^\| ((?:alone|in batches|one more)[^|]*?)\s*\|(.*)\|[^|]*\|$/gm)
  const figures = (cells: string) =>
    cells.split('|').flatMap((cell) => (cell.trim() === '' ? [] : [BigInt(cell.replaceAll(',', '').trim())]))
  return new Map([...rows].map(([, name = '', cells = '']) => [name, figures(cells)]))
}

const isWithin = (measured: bigint, stated: bigint, perCent: bigint): boolean =>
  (measured - stated) * 100n < stated * perCent && (stated - measured) * 100n < stated * perCent

/** The rows of the page's first table. */
function statedCosts(): Map<string, bigint> {
  const page = readFileSync(new URL('../../../../docs/gas.md', import.meta.url), 'utf8')
  const rows = page.matchAll(/^\|\s*(`\w+`[^|]*?)\s*\|\s*([\d,]+)\s*\|$/gm)
  return new Map([...rows].map(([, call = '', gas = '']) => [call, BigInt(gas.replaceAll(',', ''))]))
}

test('every call costs the gas that docs/gas.md states, within one in a hundred', async () => {
  await measureDepositsAndClaims()
  await measureEndings()
  const stated = statedCosts()
  expect([...stated.keys()]).toEqual([...costs.keys()])
  for (const [call, gas] of costs) {
    const expected = stated.get(call) ?? 0n
    const isNear = typeof gas === 'bigint' && isWithin(gas, expected, 1n)
    expect(isNear, `${call} costs ${gas}, the page says ${expected}`).toBe(true)
  }
})

test('a whole session costs the gas that docs/gas.md states, alone, together and on a kept channel', async () => {
  const gasWorld = await openGasWorld(world, 10)
  const { relayedGas, directGas } = await transfersGas(gasWorld)
  const sessions = {
    'alone, relayed': [await relayedSessionGas(gasWorld), relayedGas],
    'alone, sent by agent and provider': [await directSessionGas(gasWorld), directGas],
    'in batches of 10': [await batchedSessionGas(gasWorld, 10), relayedGas],
    'in batches of 10, of one provider': [
      await batchedSessionGas({ ...gasWorld, providers: gasWorld.providers.slice(0, 1) }, 10),
      relayedGas,
    ],
    'in batches of 100': [await batchedSessionGas(gasWorld, 100), relayedGas],
  } as const
  const stated = statedSessions()
  const compare = (name: string, measured: bigint[]) => {
    const expected = stated.get(name) ?? []
    const isSame = expected.length === measured.length
    const areNear = isSame && measured.every((gas, index) => isWithin(gas, expected[index] ?? 0n, 2n))
    expect(areNear, `${name}: measured ${measured}, the page says ${expected}`).toBe(true)
  }
  for (const [name, [{ openGas, closeGas }, reference]] of Object.entries(sessions)) {
    compare(name, [openGas, closeGas, openGas + closeGas, reference])
  }
  const kept = await keptSessionGas(gasWorld, 100)
  compare('one more claim on a kept channel, of 100', [kept, kept, relayedGas])
}, 120_000)
