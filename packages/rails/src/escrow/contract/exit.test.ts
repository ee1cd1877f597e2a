import { type Hex, type PrivateKeyAccount, zeroAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomWord } from '../../random.ts'
import { readChannel } from '../readChannel.ts'
import {
  approve,
  openChannel,
  randomNonce,
  signDeposit,
  signVoucher,
  toppingUpNonce,
} from '../testing/channel.ts'
import { escrowDomain, signEscrow } from '../testing/typedData.ts'
import { openWorld, type World } from '../testing/world.ts'

const graceSeconds = 900n
let world: World
beforeAll(async () => {
  world = await openWorld({ closeGraceSeconds: graceSeconds })
})
afterAll(() => world.close())

const reverted = (error: string) => ({ status: 'reverted', error })
const ok = { status: 'ok' }
const farAway = 2n ** 40n

async function requestSigned(id: Hex, who: PrivateKeyAccount, nonce = randomNonce(), deadline = farAway) {
  const domain = escrowDomain(world.chain.escrow)
  const signature = await signEscrow(who, domain, 'RequestClose', { channelId: id, nonce, deadline })
  const relayer = await world.actor()
  return world.act(relayer, 'requestCloseWithAuthorization', [id, nonce, deadline, signature])
}

describe('requestClose', () => {
  test('payer and session key may ask, nobody else', async () => {
    const [byPayer, bySession] = [await openChannel(world), await openChannel(world)]
    for (const who of [byPayer.payee, await world.actor()]) {
      expect(await world.act(who, 'requestClose', [byPayer.id])).toMatchObject(reverted('NotPayer'))
    }
    expect(await world.act(byPayer.payer, 'requestClose', [byPayer.id])).toMatchObject(ok)
    expect(await world.act(bySession.session, 'requestClose', [bySession.id])).toMatchObject(ok)
    expect(await world.act(byPayer.payer, 'requestClose', [randomWord()])).toMatchObject(
      reverted('ChannelNotFound'),
    )
  })

  test('attack: asking again to postpone the refund', async () => {
    const { id, payer, session } = await openChannel(world)
    await world.act(payer, 'requestClose', [id])
    const first = await readChannel(world.client, world.chain.escrow, id)
    await world.pass(60)
    expect(await world.act(session, 'requestClose', [id])).toMatchObject(reverted('ClosePending'))
    expect(await requestSigned(id, payer)).toMatchObject(reverted('ClosePending'))
    expect(await readChannel(world.client, world.chain.escrow, id)).toEqual(first)
  })
})

describe('requestCloseWithAuthorization', () => {
  test('anyone may submit what payer or session key has signed', async () => {
    const [first, second] = [await openChannel(world), await openChannel(world)]
    expect(await requestSigned(first.id, first.payer)).toMatchObject(ok)
    expect(await requestSigned(second.id, second.session)).toMatchObject(ok)
    const reading = await readChannel(world.client, world.chain.escrow, first.id)
    expect(reading).toMatchObject({ channel: { phase: 'closing', closeRequestedAt: expect.any(Number) } })
  })

  test('nobody else’s signature counts, nor one for another channel or after its deadline', async () => {
    const [channel, other] = [await openChannel(world), await openChannel(world)]
    for (const who of [channel.payee, other.payer, other.session]) {
      expect(await requestSigned(channel.id, who)).toMatchObject(reverted('InvalidSignature'))
    }
    const past = BigInt(await world.now()) - 1n
    const late = await requestSigned(channel.id, channel.payer, randomNonce(), past)
    expect(late).toMatchObject(reverted('AuthorizationExpired'))
  })

  test('cannot be replayed after the payer has taken the close back', async () => {
    const { id, payer } = await openChannel(world)
    const nonce = randomNonce()
    expect(await requestSigned(id, payer, nonce)).toMatchObject(ok)
    await world.chain.mint(payer.address, 1n)
    await approve(world, payer, 1n)
    await world.act(payer, 'topUp', [id, 1n])
    expect(await requestSigned(id, payer, nonce)).toMatchObject(reverted('NonceAlreadyUsed'))
  })

  test('without a session key the zero address is not a signer', async () => {
    const payer = await world.actor(100n)
    await approve(world, payer, 100n)
    const opened = await world.act(payer, 'open', [
      payer.address,
      world.chain.usdc,
      100n,
      randomWord(),
      zeroAddress,
    ])
    if (opened.status !== 'ok') return expect.fail(opened.error)
    const id = opened.logs.find((log) => log.address === world.chain.escrow.toLowerCase())?.topics[1]
    const garbage: Hex = `0x${'11'.repeat(32)}${'22'.repeat(32)}05`
    const request = [id ?? '0x', 1n, farAway, garbage] as const
    const outcome = await world.act(payer, 'requestCloseWithAuthorization', request)
    expect(outcome).toMatchObject(reverted('InvalidSignature'))
  })
})

describe('withdraw', () => {
  test('works from the last second of the grace period on, not before, and not without a request', async () => {
    const { id, payer } = await openChannel(world, 1_000n)
    expect(await world.act(payer, 'withdraw', [id])).toMatchObject(reverted('CloseNotReady'))
    await world.act(payer, 'requestClose', [id])
    const requestedAt = BigInt(await world.now())
    await world.node.setNextBlockTimestamp({ timestamp: requestedAt + graceSeconds - 1n })
    await world.node.mine({ blocks: 1 })
    expect(await world.act(payer, 'withdraw', [id])).toMatchObject(reverted('CloseNotReady'))
    await world.node.setNextBlockTimestamp({ timestamp: requestedAt + graceSeconds })
    await world.node.mine({ blocks: 1 })
    expect(await world.act(payer, 'withdraw', [id])).toMatchObject(ok)
    expect(await world.balance(payer.address)).toBe(1_000n)
  })

  test('anyone may trigger it, and it pays only the payer what is unsettled', async () => {
    const channel = await openChannel(world, 1_000n)
    const { id, payer, payee } = channel
    await world.act(payee, 'settle', [id, 300n, await signVoucher(world, channel, 300n)])
    await world.act(payer, 'requestClose', [id])
    await world.pass(900)
    const stranger = await world.actor()
    expect(await world.act(stranger, 'withdraw', [id])).toMatchObject(ok)
    expect(await world.balance(payer.address)).toBe(700n)
    expect(await world.balance(stranger.address)).toBe(0n)
  })

  test('pays once, and nothing is claimed or closed after it', async () => {
    const [channel, other] = [await openChannel(world, 1_000n), await openChannel(world, 5_000n)]
    const { id, payer, payee } = channel
    const voucher = await signVoucher(world, channel, 500n)
    await world.act(payer, 'requestClose', [id])
    await world.pass(900)
    expect(await world.act(payer, 'withdraw', [id])).toMatchObject(ok)
    const outcomes = [
      await world.act(payer, 'withdraw', [id]),
      await world.act(payer, 'requestClose', [id]),
      await world.act(payee, 'settle', [id, 500n, voucher]),
      await world.act(payee, 'close', [id, 500n, voucher]),
    ]
    for (const outcome of outcomes) expect(outcome).toMatchObject(reverted('ChannelFinalized'))
    expect(await world.balance(payer.address)).toBe(1_000n)
    expect(await world.act(other.payee, 'close', [other.id, 0n, '0x'])).toMatchObject(ok)
  })

  test('the payee can claim and close until the withdrawal', async () => {
    const channel = await openChannel(world, 1_000n)
    const { id, payer, payee } = channel
    await world.act(payer, 'requestClose', [id])
    expect(
      await world.act(payee, 'settle', [id, 100n, await signVoucher(world, channel, 100n)]),
    ).toMatchObject(ok)
    await world.pass(900)
    expect(
      await world.act(payee, 'close', [id, 200n, await signVoucher(world, channel, 200n)]),
    ).toMatchObject(ok)
    expect(await world.act(payer, 'withdraw', [id])).toMatchObject(reverted('ChannelFinalized'))
    expect(await world.balance(payer.address)).toBe(800n)
  })
})

describe('a pending close', () => {
  test('is taken back by the payer’s own top-up, after which the wait starts anew', async () => {
    const { id, payer } = await openChannel(world, 1_000n)
    await world.act(payer, 'requestClose', [id])
    await world.pass(900)
    await world.chain.mint(payer.address, 1n)
    await approve(world, payer, 1n)
    expect(await world.act(payer, 'topUp', [id, 1n])).toMatchObject(ok)
    expect(await world.act(payer, 'withdraw', [id])).toMatchObject(reverted('CloseNotReady'))
    await world.act(payer, 'requestClose', [id])
    expect(await world.act(payer, 'withdraw', [id])).toMatchObject(reverted('CloseNotReady'))
  })

  test('attack: dust by a relayed top-up, to hold the deposit hostage; it is refused and the exit goes on', async () => {
    const { id, payer, session } = await openChannel(world, 1_000n)
    await world.act(session, 'requestClose', [id])
    for (const giver of [await world.actor(1n), payer]) {
      await world.chain.mint(giver.address, 1n)
      const salt = randomWord()
      const nonce = toppingUpNonce(id, 1n, giver.address, salt)
      const { validAfter, validBefore, signature } = await signDeposit(world, giver, 1n, nonce)
      const args = [id, 1n, giver.address, salt, validAfter, validBefore, nonce, signature] as const
      const outcome = await world.act(session, 'topUpWithAuthorization', args)
      expect(outcome).toMatchObject(reverted('ClosePending'))
    }
    await world.pass(900)
    expect(await world.act(session, 'withdraw', [id])).toMatchObject(ok)
  })
})
