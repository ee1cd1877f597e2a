import { orienEscrowAbi } from '@orien/contracts'
import { type Hex, type PrivateKeyAccount, parseEventLogs } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomWord } from '../../random.ts'
import { readChannel } from '../readChannel.ts'
import { openChannel, signVoucher, type TestChannel } from '../testing/channel.ts'
import { openWorld, type World } from '../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const reverted = (error: string) => ({ status: 'reverted', error })
const ok = { status: 'ok' }

async function settled(channel: TestChannel): Promise<bigint | null> {
  const reading = await readChannel(world.client, world.chain.escrow, channel.id)
  return reading.status === 'found' ? reading.channel.settledMicros : null
}

describe('settle', () => {
  test('splits 90/7/3 in the same transaction and tells the shares of this payout', async () => {
    const channel = await openChannel(world)
    const { platform, reserve } = world.chain
    const before = [await world.balance(platform), await world.balance(reserve)] as const
    await world.act(channel.payee, 'settle', [
      channel.id,
      100_000n,
      await signVoucher(world, channel, 100_000n),
    ])
    const second = await signVoucher(world, channel, 300_000n)
    const paid = await world.act(channel.payee, 'settle', [channel.id, 300_000n, second])
    if (paid.status !== 'ok') return expect.fail(paid.error)
    const [event] = parseEventLogs({ abi: orienEscrowAbi, logs: paid.logs, eventName: 'ChannelSettled' })
    const shares = { payeeAmount: 180_000n, platformAmount: 14_000n, reserveAmount: 6_000n }
    expect(event?.args).toEqual({ channelId: channel.id, cumulativeAmount: 300_000n, ...shares })
    expect(await world.balance(channel.payee.address)).toBe(270_000n)
    expect(await world.balance(platform)).toBe(before[0] + 21_000n)
    expect(await world.balance(reserve)).toBe(before[1] + 9_000n)
  })

  test('pays whole hundreds only, so that no share is rounded', async () => {
    const channel = await openChannel(world)
    await world.act(channel.payee, 'settle', [channel.id, 1_099n, await signVoucher(world, channel, 1_099n)])
    expect(await settled(channel)).toBe(1_000n)
    expect(await world.balance(channel.payee.address)).toBe(900n)
  })

  test('a total that is no whole hundred above the last one is refused', async () => {
    const channel = await openChannel(world)
    const settle = async (micros: bigint) =>
      world.act(channel.payee, 'settle', [channel.id, micros, await signVoucher(world, channel, micros)])
    expect(await settle(99n)).toMatchObject(reverted('AmountNotIncreasing'))
    expect(await settle(100n)).toMatchObject(ok)
    expect(await settle(199n)).toMatchObject(reverted('AmountNotIncreasing'))
    expect(await settle(200n)).toMatchObject(ok)
  })

  test('attack: a voucher is replayed, or an older one shown after it', async () => {
    const channel = await openChannel(world)
    const [old, latest] = [await signVoucher(world, channel, 500n), await signVoucher(world, channel, 900n)]
    expect(await world.act(channel.payee, 'settle', [channel.id, 900n, latest])).toMatchObject(ok)
    const again = await world.act(channel.payee, 'settle', [channel.id, 900n, latest])
    expect(again).toMatchObject(reverted('AmountNotIncreasing'))
    const older = await world.act(channel.payee, 'settle', [channel.id, 500n, old])
    expect(older).toMatchObject(reverted('AmountNotIncreasing'))
  })

  test('never pays more than the deposit, whatever was signed', async () => {
    const channel = await openChannel(world, 1_000n)
    const voucher = await signVoucher(world, channel, 1_100n)
    const paid = await world.act(channel.payee, 'settle', [channel.id, 1_100n, voucher])
    expect(paid).toMatchObject(reverted('AmountExceedsDeposit'))
  })

  test('a voucher counts for the amount it names only', async () => {
    const channel = await openChannel(world)
    const voucher = await signVoucher(world, channel, 500n)
    const paid = await world.act(channel.payee, 'settle', [channel.id, 600n, voucher])
    expect(paid).toMatchObject(reverted('InvalidSignature'))
  })

  test('is refused for a channel that does not exist', async () => {
    const payee = await world.actor()
    expect(await world.act(payee, 'settle', [randomWord(), 1n, '0x'])).toMatchObject(
      reverted('ChannelNotFound'),
    )
  })
})

describe('claims below a voucher', () => {
  test('pay what was earned, not what was authorised', async () => {
    const channel = await openChannel(world)
    const voucher = await signVoucher(world, channel, 800_000n)
    const paid = await world.act(channel.payee, 'claim', [channel.id, 120_000n, 800_000n, voucher])
    expect(paid).toMatchObject(ok)
    expect(await settled(channel)).toBe(120_000n)
  })

  test('a voucher above the deposit still covers a claim within it', async () => {
    const channel = await openChannel(world, 1_000n)
    const voucher = await signVoucher(world, channel, 5_000n)
    const above = await world.act(channel.payee, 'claim', [channel.id, 1_100n, 5_000n, voucher])
    expect(above).toMatchObject(reverted('AmountExceedsDeposit'))
    expect(await world.act(channel.payee, 'claim', [channel.id, 1_000n, 5_000n, voucher])).toMatchObject(ok)
  })

  test('above the voucher are refused', async () => {
    const channel = await openChannel(world)
    const voucher = await signVoucher(world, channel, 500n)
    const claimed = await world.act(channel.payee, 'claim', [channel.id, 600n, 500n, voucher])
    expect(claimed).toMatchObject(reverted('ClaimExceedsVoucher'))
    const closed = await world.act(channel.payee, 'claimAndClose', [channel.id, 501n, 500n, voucher])
    expect(closed).toMatchObject(reverted('ClaimExceedsVoucher'))
  })
})

describe('who may claim', () => {
  const everyWay = async (who: PrivateKeyAccount, channel: TestChannel, voucher: Hex) => [
    await world.act(who, 'settle', [channel.id, 1_000n, voucher]),
    await world.act(who, 'close', [channel.id, 1_000n, voucher]),
    await world.act(who, 'claim', [channel.id, 500n, 1_000n, voucher]),
    await world.act(who, 'claimAndClose', [channel.id, 500n, 1_000n, voucher]),
    await world.act(who, 'claimAndClose', [channel.id, 0n, 0n, '0x']),
    await world.act(who, 'close', [channel.id, 0n, '0x']),
  ]

  test('attack: an under-claim or a claim in an honest payee’s name; not by the payer, its session key, a stranger or its former operator', async () => {
    const channel = await openChannel(world)
    const voucher = await signVoucher(world, channel, 1_000n)
    const former = await world.actor()
    await world.act(channel.payee, 'setOperator', [former.address, true])
    await world.act(channel.payee, 'setOperator', [former.address, false])
    for (const who of [channel.payer, channel.session, await world.actor(), former]) {
      for (const outcome of await everyWay(who, channel, voucher)) {
        expect(outcome).toMatchObject(reverted('NotPayee'))
      }
    }
    expect(await settled(channel)).toBe(0n)
  })

  test('an operator claims and closes for its payee, and the money goes to the payee', async () => {
    const channel = await openChannel(world)
    const operator = await world.actor()
    await world.act(channel.payee, 'setOperator', [operator.address, true])
    const voucher = await signVoucher(world, channel, 1_000n)
    expect(await world.act(operator, 'claim', [channel.id, 500n, 1_000n, voucher])).toMatchObject(ok)
    expect(await world.act(operator, 'close', [channel.id, 1_000n, voucher])).toMatchObject(ok)
    expect(await world.balance(channel.payee.address)).toBe(900n)
    expect(await world.balance(operator.address)).toBe(0n)
  })

  test('an operator of one payee is a stranger to another', async () => {
    const [channel, operator, otherPayee] = [
      await openChannel(world),
      await world.actor(),
      await world.actor(),
    ]
    await world.act(otherPayee, 'setOperator', [operator.address, true])
    const voucher = await signVoucher(world, channel, 1_000n)
    for (const outcome of await everyWay(operator, channel, voucher)) {
      expect(outcome).toMatchObject(reverted('NotPayee'))
    }
  })
})
