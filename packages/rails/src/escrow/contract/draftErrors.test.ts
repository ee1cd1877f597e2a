import type { Hex, PrivateKeyAccount } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomWord } from '../../random.ts'
import {
  approve,
  openChannel,
  openingNonce,
  randomNonce,
  signDeposit,
  signVoucher,
  type TestChannel,
  toppingUpNonce,
} from '../testing/channel.ts'
import { escrowDomain, signEscrow } from '../testing/typedData.ts'
import { openWorld, type World } from '../testing/world.ts'

/** The table "Contract Errors" of draft-evm-session-00, its stars written out, without the Permit2 functions. */
const draftTable = {
  ChannelAlreadyExists: ['open', 'openWithAuthorization'],
  ChannelNotFound: [
    ...['settle', 'topUp', 'topUpWithAuthorization', 'close', 'closeWithAuthorization'],
    ...['requestClose', 'withdraw'],
  ],
  ChannelFinalized: [
    ...['settle', 'topUp', 'topUpWithAuthorization', 'close', 'closeWithAuthorization'],
    ...['requestClose', 'withdraw'],
  ],
  NotPayee: ['settle', 'close'],
  NotPayer: ['topUp', 'requestClose', 'withdraw'],
  AmountNotIncreasing: ['settle', 'settleWithAuthorization', 'close', 'closeWithAuthorization'],
  AmountExceedsDeposit: ['settle', 'settleWithAuthorization', 'close', 'closeWithAuthorization'],
  InvalidSignature: ['settle', 'settleWithAuthorization', 'close', 'closeWithAuthorization'],
  NonceMismatch: ['openWithAuthorization', 'topUpWithAuthorization'],
  NonceAlreadyUsed: ['settleWithAuthorization', 'closeWithAuthorization'],
  AuthorizationExpired: ['settleWithAuthorization', 'closeWithAuthorization'],
  CloseNotReady: ['withdraw'],
  ZeroDeposit: ['open', 'openWithAuthorization', 'topUp', 'topUpWithAuthorization'],
  DepositOverflow: ['open', 'openWithAuthorization', 'topUp', 'topUpWithAuthorization'],
} as const

/** Where we differ: the call succeeds, and why it may. */
const deviations: Record<string, string> = {
  'NotPayer withdraw':
    'anyone may trigger it, and it pays only the payer: the refund needs no one’s permission',
  'AmountNotIncreasing close': 'the draft’s own forfeit path: nothing more is paid and the rest is refunded',
  'AmountNotIncreasing closeWithAuthorization': 'the same, signed by the payee',
}

let world: World
let stranger: PrivateKeyAccount
beforeAll(async () => {
  world = await openWorld()
  stranger = await world.actor()
})
afterAll(() => world.close())

/** What a call is made of; whatever a case leaves out is as it should be. */
type Case = {
  channel: TestChannel
  id?: Hex
  caller?: PrivateKeyAccount
  micros?: bigint
  nonce?: bigint
  depositNonce?: Hex
  deadline?: bigint
  voucherKey?: PrivateKeyAccount
}
type FunctionName = (typeof draftTable)[keyof typeof draftTable][number]

const farAway = 2n ** 40n

async function opening(name: 'open' | 'openWithAuthorization', given: Case) {
  const { payer, payee, session, salt } = given.channel
  const { usdc } = world.chain
  const terms = [payee.address, usdc, given.micros ?? 100n, salt, session.address] as const
  if (name === 'open') return world.act(given.caller ?? payer, 'open', terms)
  const nonce = given.depositNonce ?? openingNonce(payer.address, payee.address, usdc, salt, session.address)
  const { validAfter, validBefore, signature } = await signDeposit(world, payer, given.micros ?? 100n, nonce)
  const args = [...terms, payer.address, validAfter, validBefore, nonce, signature] as const
  return world.act(stranger, 'openWithAuthorization', args)
}

async function toppingUp(name: 'topUp' | 'topUpWithAuthorization', given: Case) {
  const { payer } = given.channel
  const [id, micros] = [given.id ?? given.channel.id, given.micros ?? 100n]
  if (name === 'topUp') return world.act(given.caller ?? payer, 'topUp', [id, micros])
  const salt = randomWord()
  const nonce = given.depositNonce ?? toppingUpNonce(id, micros, payer.address, salt)
  const { validAfter, validBefore, signature } = await signDeposit(world, payer, micros, nonce)
  const args = [id, micros, payer.address, salt, validAfter, validBefore, nonce, signature] as const
  return world.act(stranger, 'topUpWithAuthorization', args)
}

async function claiming(
  name: 'settle' | 'close' | 'settleWithAuthorization' | 'closeWithAuthorization',
  given: Case,
) {
  const { channel, micros = 500n, deadline = farAway, nonce = randomNonce() } = given
  const id = given.id ?? channel.id
  const voucher = await signVoucher(world, { ...channel, id }, micros, given.voucherKey)
  if (name === 'settle' || name === 'close') {
    return world.act(given.caller ?? channel.payee, name, [id, micros, voucher])
  }
  const type = name === 'settleWithAuthorization' ? 'SettleAuthorization' : 'CloseAuthorization'
  const message = { channelId: id, cumulativeAmount: micros, nonce, deadline }
  const signature = await signEscrow(channel.payee, escrowDomain(world.chain.escrow), type, message)
  return world.act(stranger, name, [id, micros, nonce, deadline, signature, voucher])
}

function call(name: FunctionName, given: Case) {
  switch (name) {
    case 'open':
    case 'openWithAuthorization':
      return opening(name, given)
    case 'topUp':
    case 'topUpWithAuthorization':
      return toppingUp(name, given)
    case 'requestClose':
    case 'withdraw':
      return world.act(given.caller ?? given.channel.payer, name, [given.id ?? given.channel.id])
    default:
      return claiming(name, given)
  }
}

/** A channel of 1,000 whose payer could pay for more. */
async function freshChannel(): Promise<TestChannel> {
  const channel = await openChannel(world, 1_000n)
  await world.chain.mint(channel.payer.address, 10_000n)
  await approve(world, channel.payer, 10_000n)
  return channel
}

/** What makes each error happen; the function is the one of the table. */
const situations: Record<keyof typeof draftTable, (channel: TestChannel) => Case | Promise<Case>> = {
  ChannelAlreadyExists: (channel) => ({ channel }),
  ChannelNotFound: (channel) => ({ channel, id: randomWord() }),
  ChannelFinalized: async (channel) => {
    await world.act(channel.payee, 'close', [channel.id, 0n, '0x'])
    return { channel }
  },
  NotPayee: (channel) => ({ channel, caller: stranger }),
  NotPayer: async (channel) => {
    await world.act(channel.payer, 'requestClose', [channel.id])
    await world.pass(900)
    return { channel, caller: stranger }
  },
  AmountNotIncreasing: async (channel) => {
    await world.act(channel.payee, 'settle', [channel.id, 500n, await signVoucher(world, channel, 500n)])
    return { channel, micros: 500n }
  },
  AmountExceedsDeposit: (channel) => ({ channel, micros: 1_100n }),
  InvalidSignature: (channel) => ({ channel, voucherKey: stranger }),
  NonceMismatch: (channel) => ({ channel, depositNonce: randomWord() }),
  NonceAlreadyUsed: async (channel) => {
    const nonce = randomNonce()
    expect(await claiming('settleWithAuthorization', { channel, nonce, micros: 100n })).toMatchObject({
      status: 'ok',
    })
    return { channel, nonce }
  },
  AuthorizationExpired: async (channel) => ({ channel, deadline: BigInt(await world.now()) - 1n }),
  CloseNotReady: (channel) => ({ channel }),
  ZeroDeposit: (channel) => ({ channel: { ...channel, salt: randomWord() }, id: channel.id, micros: 0n }),
  DepositOverflow: (channel) => ({
    ...{ channel: { ...channel, salt: randomWord() }, id: channel.id, micros: 2n ** 128n - 1n },
  }),
}

const pairs = Object.entries(draftTable).flatMap(([error, names]) =>
  names.map((name) => ({ error: error as keyof typeof draftTable, name, key: `${error} ${name}` })),
)

describe('every error of the draft’s table happens where the table says', () => {
  test.each(pairs.filter(({ key }) => deviations[key] === undefined))(
    '$error: $name',
    async ({ error, name }) => {
      const outcome = await call(name, await situations[error](await freshChannel()))
      expect(outcome).toMatchObject({ status: 'reverted', error })
    },
  )
})

describe('where we differ from the table, on purpose, the call succeeds', () => {
  test.each(pairs.filter(({ key }) => deviations[key] !== undefined))(
    '$error: $name',
    async ({ error, name }) => {
      const channel = await freshChannel()
      const outcome = await call(name, await situations[error](channel))
      expect(outcome).toMatchObject({ status: 'ok' })
    },
  )

  test('and a withdrawal too early, or of a channel with nothing requested, is still refused', async () => {
    const channel = await freshChannel()
    await world.act(channel.payer, 'requestClose', [channel.id])
    expect(await call('withdraw', { channel })).toMatchObject({ status: 'reverted', error: 'CloseNotReady' })
  })
})
