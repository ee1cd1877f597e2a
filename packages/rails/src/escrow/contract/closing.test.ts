import { orienEscrowAbi } from '@orien/contracts'
import { parseEventLogs } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomWord } from '../../random.ts'
import { readSettlement } from '../readSettlement.ts'
import {
  approve,
  openChannel,
  openingNonce,
  randomNonce,
  signClaim,
  signDeposit,
  signVoucher,
} from '../testing/channel.ts'
import { escrowDomain, signEscrow } from '../testing/typedData.ts'
import { openWorld, type World } from '../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const reverted = (error: string) => ({ status: 'reverted', error })
const ok = { status: 'ok' }
const deadline = 2n ** 40n

describe('close', () => {
  test('pays the voucher, refunds the rest and ends the channel in one transaction', async () => {
    const channel = await openChannel(world, 1_000_000n)
    const voucher = await signVoucher(world, channel, 333_333n)
    const closed = await world.act(channel.payee, 'close', [channel.id, 333_333n, voucher])
    if (closed.status !== 'ok') return expect.fail(closed.error)
    expect(await world.balance(channel.payee.address)).toBe(299_999n)
    expect(await world.balance(channel.payer.address)).toBe(666_667n)
    const [event] = parseEventLogs({ abi: orienEscrowAbi, logs: closed.logs, eventName: 'ChannelClosed' })
    const parties = { payer: channel.payer.address, payee: channel.payee.address }
    expect(event?.args).toEqual({ channelId: channel.id, ...parties, settled: 333_333n, refund: 666_667n })
  })

  test('the closing claim alone takes any amount; what is left of a micro-USDC goes to the reserve', async () => {
    const channel = await openChannel(world, 1_000n)
    const voucher = await signVoucher(world, channel, 15n)
    expect(await world.act(channel.payee, 'close', [channel.id, 15n, voucher])).toMatchObject(ok)
    const reading = await readSettlement(world.client, world.chain.escrow, channel.id, { fromBlock: 0n })
    const shares = { payeeMicros: 13n, platformMicros: 1n, reserveMicros: 1n, refundMicros: 985n }
    expect(reading).toMatchObject({ status: 'settled', settlement: shares })
  })

  test('with nothing above what is settled needs no voucher and refunds all that is unsettled', async () => {
    const channel = await openChannel(world, 1_000n)
    await world.act(channel.payee, 'settle', [channel.id, 400n, await signVoucher(world, channel, 400n)])
    expect(await world.act(channel.payee, 'claimAndClose', [channel.id, 100n, 0n, '0x'])).toMatchObject(ok)
    expect(await world.balance(channel.payer.address)).toBe(600n)
    expect(await world.balance(channel.payee.address)).toBe(360n)
  })

  test('refunds a channel of which nothing was ever claimed', async () => {
    const channel = await openChannel(world, 1_000n)
    expect(await world.act(channel.payee, 'close', [channel.id, 0n, '0x'])).toMatchObject(ok)
    expect(await world.balance(channel.payer.address)).toBe(1_000n)
    const reading = await readSettlement(world.client, world.chain.escrow, channel.id, { fromBlock: 0n })
    expect(reading).toMatchObject({ settlement: { payouts: [], refundMicros: 1_000n, payeeMicros: 0n } })
  })

  test('never pays more than the deposit', async () => {
    const channel = await openChannel(world, 1_000n)
    const voucher = await signVoucher(world, channel, 1_001n)
    const closed = await world.act(channel.payee, 'close', [channel.id, 1_001n, voucher])
    expect(closed).toMatchObject(reverted('AmountExceedsDeposit'))
  })
})

describe('after a close', () => {
  test('nothing moves: no claim, close, top-up, close request or withdrawal', async () => {
    const channel = await openChannel(world, 1_000n)
    const { id, payee, payer, session } = channel
    const voucher = await signVoucher(world, channel, 900n)
    const nonce = randomNonce()
    const claimSignature = await signClaim(world, 'ClaimAndClose', payee, {
      ...{ channelId: id, claimAmount: 500n, nonce, deadline },
    })
    const claimed = [id, 500n, 900n, voucher, nonce, deadline, claimSignature] as const
    expect(await world.act(session, 'claimAndCloseWithAuthorization', claimed)).toMatchObject(ok)
    await approve(world, payer, 500n)
    const domain = escrowDomain(world.chain.escrow)
    const request = await signEscrow(session, domain, 'RequestClose', { channelId: id, nonce, deadline })
    const deposit = await signDeposit(world, payer, 1n, randomWord())
    const { validAfter, validBefore, signature } = deposit
    const topUp = [
      id,
      1n,
      payer.address,
      randomWord(),
      validAfter,
      validBefore,
      deposit.nonce,
      signature,
    ] as const
    const outcomes = [
      await world.act(payee, 'settle', [id, 900n, voucher]),
      await world.act(payee, 'close', [id, 900n, voucher]),
      await world.act(payee, 'claim', [id, 900n, 900n, voucher]),
      await world.act(payee, 'claimAndClose', [id, 900n, 900n, voucher]),
      await world.act(session, 'claimWithAuthorization', claimed),
      await world.act(session, 'claimAndCloseWithAuthorization', claimed),
      await world.act(session, 'settleWithAuthorization', [
        id,
        900n,
        nonce,
        deadline,
        claimSignature,
        voucher,
      ]),
      await world.act(session, 'closeWithAuthorization', [
        id,
        900n,
        nonce,
        deadline,
        claimSignature,
        voucher,
      ]),
      await world.act(payer, 'topUp', [id, 1n]),
      await world.act(payer, 'topUpWithAuthorization', topUp),
      await world.act(payer, 'requestClose', [id]),
      await world.act(payer, 'requestCloseWithAuthorization', [id, nonce, deadline, request]),
      await world.act(payer, 'withdraw', [id]),
    ]
    expect(outcomes).toHaveLength(13)
    for (const outcome of outcomes) expect(outcome).toMatchObject(reverted('ChannelFinalized'))
  })

  test('attack: the channel is opened again, to use its old vouchers; by neither way', async () => {
    const { id, payee, payer, session, salt } = await openChannel(world, 1_000n)
    await world.act(payee, 'close', [id, 0n, '0x'])
    await approve(world, payer, 1_000n)
    const { usdc } = world.chain
    const direct = await world.act(payer, 'open', [payee.address, usdc, 1_000n, salt, session.address])
    expect(direct).toMatchObject(reverted('ChannelAlreadyExists'))
    const nonce = openingNonce(payer.address, payee.address, usdc, salt, session.address)
    const { validAfter, validBefore, signature } = await signDeposit(world, payer, 1_000n, nonce)
    const terms = [payee.address, usdc, 1_000n, salt, session.address, payer.address] as const
    const args = [...terms, validAfter, validBefore, nonce, signature] as const
    const relayed = await world.act(payee, 'openWithAuthorization', args)
    expect(relayed).toMatchObject(reverted('ChannelAlreadyExists'))
  })

  test('a channel with a new salt does not take the old one’s vouchers', async () => {
    const old = await openChannel(world, 1_000n)
    const voucher = await signVoucher(world, old, 900n)
    await world.act(old.payee, 'close', [old.id, 0n, '0x'])
    const next = await openChannel(world, 1_000n, old)
    const replayed = await world.act(next.payee, 'settle', [next.id, 900n, voucher])
    expect(replayed).toMatchObject(reverted('InvalidSignature'))
  })
})
