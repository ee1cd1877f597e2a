import { orienEscrowAbi } from '@orien/contracts'
import { batchDigest, micros } from '@orien/protocol'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeBatch } from '../encodeBatch.ts'
import { readSettlement, type Settlement } from '../readSettlement.ts'
import { openChannel, signVoucher, type TestChannel } from '../testing/channel.ts'
import { openWorld, type World } from '../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const sharesOf = (micros: bigint) =>
  world.client.readContract({
    address: world.chain.escrow,
    abi: orienEscrowAbi,
    functionName: 'sharesOf',
    args: [micros],
  })

/** Claims each cumulative amount in turn, skipping what is not a new hundred, and closes at the last. */
async function claimInSteps(depositMicros: bigint, steps: bigint[]): Promise<Settlement> {
  const channel = await openChannel(world, depositMicros)
  const total = steps.at(-1) ?? 0n
  const voucher = await signVoucher(world, channel, depositMicros)
  for (const micros of steps.slice(0, -1)) {
    await world.act(channel.payee, 'claim', [channel.id, micros, depositMicros, voucher])
  }
  await world.act(channel.payee, 'claimAndClose', [channel.id, total, depositMicros, voucher])
  const reading = await readSettlement(world.client, world.chain.escrow, channel.id, { fromBlock: 0n })
  if (reading.status !== 'settled') return expect.fail(`not settled: ${reading.status}`)
  const { platform, reserve } = world.chain
  const held = [await world.balance(channel.payee.address), await world.balance(channel.payer.address)]
  expect(held).toEqual([reading.settlement.payeeMicros, reading.settlement.refundMicros])
  expect(platform).not.toBe(reserve)
  return reading.settlement
}

const totals = ({ payeeMicros, platformMicros, reserveMicros, refundMicros }: Settlement) => ({
  ...{ payeeMicros, platformMicros, reserveMicros, refundMicros },
})

describe('the shares of a cumulative amount', () => {
  test('are floor, floor and the rest for any amount of 128 bits', async () => {
    const amounts = fc.oneof(fc.bigInt(0n, 10_000n), fc.bigInt(0n, 2n ** 128n - 1n))
    const property = fc.asyncProperty(amounts, async (micros) => {
      const [payee, platform, reserve] = await sharesOf(micros)
      expect(payee).toBe((micros * 90n) / 100n)
      expect(platform).toBe((micros * 7n) / 100n)
      expect(payee + platform + reserve).toBe(micros)
      expect(reserve >= (micros * 3n) / 100n && reserve <= (micros * 3n) / 100n + 2n).toBe(true)
    })
    await fc.assert(property, { numRuns: 200, examples: [[0n], [14n], [15n], [2n ** 128n - 1n]] })
  })

  test('of whole hundreds are exact', async () => {
    const property = fc.asyncProperty(fc.bigInt(0n, 10n ** 15n), async (hundreds) => {
      expect(await sharesOf(hundreds * 100n)).toEqual([hundreds * 90n, hundreds * 7n, hundreds * 3n])
    })
    await fc.assert(property, { numRuns: 100 })
  })
})

/** Claims a channel's first total in as many steps, a hundred claims to a batch. */
async function claimThousand(channel: TestChannel, count: number): Promise<void> {
  const relayer = await world.actor()
  for (let start = 0; start < count; start += 100) {
    const claims = Array.from({ length: 100 }, (_, index) => ({
      ...{ channelId: channel.id, claimMicros: micros(BigInt(start + index + 1) * 137n) },
    }))
    const terms = { payee: channel.payee.address, claims, deadline: 2 ** 40 }
    const signature = await channel.payee.sign({ hash: batchDigest(world.chain, 'ClaimBatch', terms) })
    const voucher = {
      cumulativeMicros: micros(channel.depositMicros),
      signature: await signVoucher(world, channel, channel.depositMicros),
    }
    const signed = { terms, signature, vouchers: claims.map(() => voucher) }
    const { escrow } = world.chain
    const { data } = encodeBatch(escrow, 'ClaimBatch', [signed])
    expect(await world.sendWithGas(relayer, data, 12_000_000n)).toMatchObject({ status: 'success' })
  }
}

describe('one claim or many', () => {
  test('totals of the split are the same for one claim and for 1,000', async () => {
    const total = 137_051n
    const many = await openChannel(world, 200_000n)
    await claimThousand(many, 1_000)
    const voucher = await signVoucher(world, many, 200_000n)
    await world.act(many.payee, 'claimAndClose', [many.id, total, 200_000n, voucher])
    const reading = await readSettlement(world.client, world.chain.escrow, many.id, { fromBlock: 0n })
    if (reading.status !== 'settled') return expect.fail(reading.status)
    expect(reading.settlement.payouts).toHaveLength(1_001)
    expect(totals(reading.settlement)).toEqual(totals(await claimInSteps(200_000n, [total])))
  }, 60_000)

  test('attack: claims from 14 to 15 micro-USDC, where a share would shrink; 14 is refused, 15 closes', async () => {
    const settlement = await claimInSteps(1_000n, [14n, 15n])
    expect(settlement.payouts).toHaveLength(1)
    expect(totals(settlement)).toEqual(totals(await claimInSteps(1_000n, [15n])))
  })

  test('come to the same micro-USDC for payee, platform, reserve and payer', async () => {
    const deposit = 50_000n
    const steps = fc
      .array(fc.bigInt(1n, deposit), { minLength: 2, maxLength: 12 })
      .map((amounts) => amounts.sort((a, b) => (a < b ? -1 : 1)))
    const property = fc.asyncProperty(steps, async (amounts) => {
      const many = await claimInSteps(deposit, amounts)
      const once = await claimInSteps(deposit, amounts.slice(-1))
      expect(totals(many)).toEqual(totals(once))
      for (const payout of many.payouts) {
        const shares = [payout.payeeMicros, payout.platformMicros, payout.reserveMicros]
        expect(shares.every((share) => share >= 0n)).toBe(true)
      }
    })
    await fc.assert(property, { numRuns: 8 })
  }, 60_000)
})
