import { orienEscrowAbi } from '@orien/contracts'
import { type Address, parseEventLogs } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readCredit } from '../readBalance.ts'
import { openChannel, signVoucher, type TestChannel } from '../testing/channel.ts'
import { encodeEscrow, openWorld, type World } from '../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const reverted = (error: string) => ({ status: 'reverted', error })
const ok = { status: 'ok' }

const credit = async (account: Address) => {
  const reading = await readCredit(world.client, world.chain.escrow, account)
  return reading.status === 'read' ? reading.micros : null
}

describe('a payment that the token refuses', () => {
  test('a blocklisted payee gets a credit; platform, reserve and refund are paid', async () => {
    const channel = await openChannel(world, 1_000n)
    const { payee, payer, id } = channel
    const { platform, reserve } = world.chain
    const before = [await world.balance(platform), await world.balance(reserve)] as const
    await world.tokenOwner('blacklist', [payee.address])
    const closed = await world.act(payee, 'close', [id, 500n, await signVoucher(world, channel, 500n)])
    if (closed.status !== 'ok') return expect.fail(closed.error)
    const events = parseEventLogs({ abi: orienEscrowAbi, logs: closed.logs, eventName: 'Credited' })
    const expected = { account: payee.address, amount: 450n }
    expect(events.map((event) => event.args)).toEqual([expected])
    expect(await credit(payee.address)).toBe(450n)
    expect(await world.balance(payer.address)).toBe(500n)
    expect(await world.balance(platform)).toBe(before[0] + 35n)
    expect(await world.balance(reserve)).toBe(before[1] + 15n)
  })

  test('a blocklisted payer’s refund becomes its credit; the payee is paid', async () => {
    const channel = await openChannel(world, 1_000n)
    await world.tokenOwner('blacklist', [channel.payer.address])
    const voucher = await signVoucher(world, channel, 500n)
    expect(await world.act(channel.payee, 'close', [channel.id, 500n, voucher])).toMatchObject(ok)
    expect(await world.balance(channel.payee.address)).toBe(450n)
    expect(await credit(channel.payer.address)).toBe(500n)
  })

  test('a withdrawal by a blocklisted payer ends the channel all the same', async () => {
    const { id, payer, payee } = await openChannel(world, 1_000n)
    await world.act(payer, 'requestClose', [id])
    await world.pass(900)
    await world.tokenOwner('blacklist', [payer.address])
    expect(await world.act(payee, 'withdraw', [id])).toMatchObject(ok)
    expect(await credit(payer.address)).toBe(1_000n)
    expect(await world.act(payee, 'withdraw', [id])).toMatchObject(reverted('ChannelFinalized'))
  })

  test('a blocklisted platform holds up no provider', async () => {
    const channel = await openChannel(world, 1_000n)
    await world.tokenOwner('blacklist', [world.chain.platform])
    const before = await credit(world.chain.platform)
    const voucher = await signVoucher(world, channel, 500n)
    expect(await world.act(channel.payee, 'settle', [channel.id, 500n, voucher])).toMatchObject(ok)
    expect(await world.balance(channel.payee.address)).toBe(450n)
    expect(await credit(world.chain.platform)).toBe((before ?? 0n) + 35n)
    await world.tokenOwner('unBlacklist', [world.chain.platform])
  })
})

describe('a credit', () => {
  test('adds up and is withdrawn once, by its account, to where it says', async () => {
    const payee = await world.actor()
    await world.tokenOwner('blacklist', [payee.address])
    for (const micros of [500n, 700n]) {
      const channel = await openChannel(world, 1_000n, { payee })
      await world.act(payee, 'close', [channel.id, micros, await signVoucher(world, channel, micros)])
    }
    expect(await credit(payee.address)).toBe(1_080n)
    const [stranger, elsewhere] = [await world.actor(), await world.actor()]
    const stolen = await world.act(stranger, 'withdrawCredit', [stranger.address])
    expect(stolen).toMatchObject(reverted('NoCredit'))
    expect(await world.act(payee, 'withdrawCredit', [payee.address])).toMatchObject(reverted('TokenRefused'))
    const paid = await world.act(payee, 'withdrawCredit', [elsewhere.address])
    if (paid.status !== 'ok') return expect.fail(paid.error)
    const [event] = parseEventLogs({ abi: orienEscrowAbi, logs: paid.logs, eventName: 'CreditWithdrawn' })
    expect(event?.args).toMatchObject({ account: payee.address, to: elsewhere.address, amount: 1_080n })
    expect(await world.balance(elsewhere.address)).toBe(1_080n)
    const again = await world.act(payee, 'withdrawCredit', [elsewhere.address])
    expect(again).toMatchObject(reverted('NoCredit'))
  })

  test('left by a paused token is delivered by anyone, to its account only', async () => {
    const { id, payer, payee } = await openChannel(world, 1_000n)
    await world.tokenOwner('pause')
    expect(await world.act(payee, 'close', [id, 0n, '0x'])).toMatchObject(ok)
    const stranger = await world.actor()
    const early = await world.act(stranger, 'deliverCredit', [payer.address])
    expect(early).toMatchObject(reverted('TokenRefused'))
    await world.tokenOwner('unpause')
    expect(await world.act(stranger, 'deliverCredit', [payer.address])).toMatchObject(ok)
    expect(await world.balance(payer.address)).toBe(1_000n)
    expect(await world.balance(stranger.address)).toBe(0n)
    const again = await world.act(stranger, 'deliverCredit', [payer.address])
    expect(again).toMatchObject(reverted('NoCredit'))
  })
})

describe('attack: a gas limit that makes a payment fail, to force a credit; none does', () => {
  const closeWithEveryGas = async (channel: TestChannel) => {
    const voucher = await signVoucher(world, channel, 500n)
    const data = encodeEscrow('close', [channel.id, 500n, voucher])
    const statuses: string[] = []
    for (let gas = 60_000n; gas <= 460_000n; gas += 8_000n) {
      const id = await world.node.snapshot()
      const mined = await world.sendWithGas(channel.payee, data, gas)
      statuses.push(mined.status)
      expect(parseEventLogs({ abi: orienEscrowAbi, logs: mined.logs, eventName: 'Credited' })).toEqual([])
      await world.node.revert({ id })
    }
    expect(new Set(statuses)).toEqual(new Set(['reverted', 'success']))
    expect(statuses).toEqual(statuses.toSorted())
  }

  test('for accounts without a credit', async () => {
    await closeWithEveryGas(await openChannel(world, 1_000n))
  })

  test('for accounts with one, whose credits cost less to add to', async () => {
    const first = await openChannel(world, 1_000n)
    await world.tokenOwner('pause')
    await world.act(first.payee, 'close', [first.id, 500n, await signVoucher(world, first, 500n)])
    await world.tokenOwner('unpause')
    const { payer, payee } = first
    expect([await credit(payer.address), await credit(payee.address)]).toEqual([500n, 450n])
    await closeWithEveryGas(await openChannel(world, 1_000n, { payer, payee }))
  })
})
