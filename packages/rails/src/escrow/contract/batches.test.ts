import { orienEscrowAbi } from '@orien/contracts'
import { batchDigest, micros } from '@orien/protocol'
import { type Address, encodeFunctionData, type Hex, type PrivateKeyAccount } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeBatch, encodeTryAll, type SignedBatch } from '../encodeBatch.ts'
import { encodeWithdraw } from '../encodeExit.ts'
import { readCredit } from '../readBalance.ts'
import { readBatchLogs, simulateBatch } from '../readBatch.ts'
import { readChannel } from '../readChannel.ts'
import { openChannel, signVoucher, type TestChannel } from '../testing/channel.ts'
import { byProvider, newKeys, openFleet, prepareFleet, signBatch } from '../testing/fleet.ts'
import { openWorld, type World } from '../testing/world.ts'

let world: World
let relayer: PrivateKeyAccount
beforeAll(async () => {
  world = await openWorld()
  relayer = await world.actor()
})
afterAll(() => world.close())

type Kind = 'ClaimBatch' | 'CloseBatch'

/** Simulates, sends, and reads what came of it. */
async function submit(kind: Kind, batches: SignedBatch[], from = relayer) {
  const { escrow } = world.chain
  const simulation = await simulateBatch(world.client, escrow, kind, batches, from.address)
  const call = encodeBatch(escrow, kind, batches)
  const mined = await world.send(from, call.to, call.data)
  if (mined.status !== 'ok') return expect.fail(`${mined.error}: ${mined.detail}`)
  if (simulation.status !== 'ok') return expect.fail(`simulated as ${simulation.status}`)
  return { outcome: readBatchLogs(escrow, mined.logs), refusals: simulation.refusals, mined }
}

const fleet = async (channels: number, providers: PrivateKeyAccount[], depositMicros = 1_000n) =>
  (await openFleet(world, relayer, { channels, providers, depositMicros })).channels

const sign = (kind: Kind, channels: TestChannel[], claimMicros: bigint, signer?: PrivateKeyAccount) =>
  signBatch(world, kind, channels, claimMicros, 900n, signer)

const credit = async (account: Address) => {
  const reading = await readCredit(world.client, world.chain.escrow, account)
  return reading.status === 'read' ? reading.micros : null
}
const stateOf = async ({ id }: TestChannel) => {
  const reading = await readChannel(world.client, world.chain.escrow, id)
  return reading.status === 'found' ? reading.channel : null
}
const transfers = (logs: { address: string }[]) =>
  logs.filter(({ address }) => address.toLowerCase() === world.chain.usdc.toLowerCase()).length

describe('a batch', () => {
  test('closes channels of many providers: each paid by one transfer, platform and reserve by one each', async () => {
    const { platform, reserve } = world.chain
    const providers = newKeys(3)
    const channels = await fleet(7, providers)
    const before = [await world.balance(platform), await world.balance(reserve)] as const
    const groups = byProvider(channels)
    const batches = await Promise.all(groups.map((group) => sign('CloseBatch', group, 333n)))
    const { outcome, refusals, mined } = await submit('CloseBatch', batches)
    expect(refusals.flat()).toEqual(Array(7).fill(null))
    expect(outcome.paid).toHaveLength(7)
    expect(transfers(mined.logs)).toBe(3 + 2 + 7)
    for (const [index, group] of groups.entries()) {
      expect(await world.balance(providers[index]?.address ?? '0x')).toBe(299n * BigInt(group.length))
    }
    for (const channel of channels) {
      expect(await world.balance(channel.payer.address)).toBe(667n)
      expect(await stateOf(channel)).toMatchObject({ phase: 'finalized', settledMicros: 333n })
    }
    expect(await world.balance(platform)).toBe(before[0] + 7n * 23n)
    expect(await world.balance(reserve)).toBe(before[1] + 7n * 11n)
  })

  test('refunds neighbouring channels of one payer by one transfer', async () => {
    const payer = await world.actor()
    const plan = { channels: 3, providers: newKeys(1), payers: [payer], depositMicros: 1_000n }
    const { channels } = await openFleet(world, relayer, plan)
    const { outcome, mined } = await submit('CloseBatch', [await sign('CloseBatch', channels, 100n)])
    expect(outcome.closed.map(({ refundMicros }) => refundMicros)).toEqual([900n, 900n, 900n])
    expect(await world.balance(payer.address)).toBe(2_700n)
    expect(transfers(mined.logs)).toBe(1 + 1 + 2)
  })

  test('of partial claims pays whole hundreds and leaves the channels open', async () => {
    const channels = await fleet(2, newKeys(1))
    const { outcome } = await submit('ClaimBatch', [await sign('ClaimBatch', channels, 299n)])
    expect(outcome.paid.map(({ cumulativeMicros }) => cumulativeMicros)).toEqual([200n, 200n])
    for (const channel of channels) expect(await stateOf(channel)).toMatchObject({ phase: 'open' })
    const { refusals } = await submit('ClaimBatch', [await sign('ClaimBatch', channels, 299n)])
    expect(refusals).toEqual([['AmountNotIncreasing', 'AmountNotIncreasing']])
  })

  test('pays the same to the micro-USDC as closing one by one', async () => {
    const [provider, other] = newKeys(2)
    if (!provider || !other) return expect.fail('two keys')
    await world.chain.fund(other.address)
    const amounts = [1n, 14n, 15n, 99n, 100n, 101n, 333n, 899n]
    const together = await fleet(amounts.length, [provider])
    const claims = together.map(({ id }, index) => ({
      channelId: id,
      claimMicros: micros(amounts[index] ?? 0n),
    }))
    const plain = await sign('CloseBatch', together, 900n)
    const terms = { ...plain.terms, claims }
    const signature = await provider.sign({ hash: batchDigest(world.chain, 'CloseBatch', terms) })
    const { outcome } = await submit('CloseBatch', [{ ...plain, terms, signature }])
    expect(outcome.paid).toHaveLength(amounts.length)
    for (const amount of amounts) {
      const alone = await openChannel(world, 1_000n, { payee: other })
      const voucher = await signVoucher(world, alone, 900n)
      await world.act(other, 'claimAndClose', [alone.id, amount, 900n, voucher])
    }
    expect(await world.balance(provider.address)).toBe(await world.balance(other.address))
  })

  test('an operator signs in the payee’s place, until it is revoked', async () => {
    const [operator, payee] = [await world.actor(), await world.actor()]
    const channels = await fleet(2, [payee])
    const signed = await sign('CloseBatch', channels, 500n, operator)
    await world.act(payee, 'setOperator', [operator.address, true])
    await world.act(payee, 'setOperator', [operator.address, false])
    expect((await submit('CloseBatch', [signed])).refusals).toEqual([
      ['InvalidSignature', 'InvalidSignature'],
    ])
    await world.act(payee, 'setOperator', [operator.address, true])
    expect((await submit('CloseBatch', [signed])).refusals).toEqual([[null, null]])
    expect(await world.balance(payee.address)).toBe(900n)
  })

  test('closes without a voucher where nothing more is claimed', async () => {
    const channels = await fleet(1, newKeys(1))
    const signed = await sign('CloseBatch', channels, 0n)
    const { outcome } = await submit('CloseBatch', [{ ...signed, vouchers: [null] }])
    expect(outcome).toMatchObject({ paid: [], closed: [{ refundMicros: 1_000n }] })
  })
})

describe('attack: under-claim for a provider in a batch', () => {
  test('a batch that the payer, a session key, a stranger or another provider signed is left out', async () => {
    const [payee, rival] = [await world.actor(), await world.actor()]
    const channels = await fleet(1, [payee])
    const [channel] = channels
    if (!channel) return expect.fail('a channel')
    for (const signer of [channel.payer, channel.session, relayer, rival]) {
      const { outcome, refusals } = await submit('CloseBatch', [
        await sign('CloseBatch', channels, 100n, signer),
      ])
      expect(refusals).toEqual([['InvalidSignature']])
      expect(outcome.refusedProviders).toEqual([{ payee: payee.address, error: 'InvalidSignature' }])
    }
    expect(await stateOf(channel)).toMatchObject({ phase: 'open', settledMicros: 0n })
  })

  test('a provider cannot close another’s channel under its own signature', async () => {
    const [payee, rival] = [await world.actor(), await world.actor()]
    const channels = await fleet(1, [payee])
    const signed = await sign('CloseBatch', channels, 100n)
    const terms = { ...signed.terms, payee: rival.address }
    const signature = await rival.sign({ hash: batchDigest(world.chain, 'CloseBatch', terms) })
    // The rival has a channel of its own, so that it is a payee with a number.
    await openChannel(world, 100n, { payee: rival })
    expect((await submit('CloseBatch', [{ ...signed, terms, signature }])).refusals).toEqual([['NotPayee']])
  })

  test('a relayer cannot change amounts, order, channels, kind or deadline of what was signed', async () => {
    const channels = await fleet(2, newKeys(1))
    const signed = await sign('CloseBatch', channels, 500n)
    const { claims, deadline } = signed.terms
    const lowered = claims.map((claim) => ({ ...claim, claimMicros: micros(100n) }))
    const vouchers = signed.vouchers.toReversed()
    const changed: SignedBatch[] = [
      { ...signed, terms: { ...signed.terms, claims: lowered } },
      { ...signed, terms: { ...signed.terms, claims: claims.toReversed() }, vouchers },
      { ...signed, terms: { ...signed.terms, claims: claims.slice(0, 1) }, vouchers: vouchers.slice(0, 1) },
      { ...signed, terms: { ...signed.terms, deadline: deadline + 1 } },
    ]
    for (const each of changed) {
      const { refusals } = await submit('CloseBatch', [each])
      expect(new Set(refusals.flat())).toEqual(new Set(['InvalidSignature']))
    }
    const { refusals } = await submit('ClaimBatch', [signed])
    expect(refusals).toEqual([['InvalidSignature', 'InvalidSignature']])
  })

  test('a batch is void after its deadline', async () => {
    const channels = await fleet(1, newKeys(1))
    const signed = await sign('CloseBatch', channels, 500n)
    await world.node.setNextBlockTimestamp({ timestamp: BigInt(signed.terms.deadline + 1) })
    await world.node.mine({ blocks: 1 })
    expect((await submit('CloseBatch', [signed])).refusals).toEqual([['AuthorizationExpired']])
  })
})

describe('nothing in a batch stops the rest of it', () => {
  test('closed, unknown, uncovered and badly signed claims are named; the others are paid', async () => {
    const [payee] = newKeys(1)
    if (!payee) return expect.fail('a key')
    await world.chain.fund(payee.address)
    const channels = await fleet(5, [payee])
    const [good, closed, forged, uncovered, last] = channels
    if (!good || !closed || !forged || !uncovered || !last) return expect.fail('five channels')
    await world.act(payee, 'close', [closed.id, 0n, '0x'])
    const unknown = { ...good, id: `0x${'12'.repeat(32)}` as Hex }
    const signed = await sign('CloseBatch', [good, closed, forged, uncovered, unknown, last], 500n)
    const low = { cumulativeMicros: micros(499n), signature: await signVoucher(world, uncovered, 499n) }
    const wrong = { cumulativeMicros: micros(900n), signature: await signVoucher(world, good, 900n) }
    const vouchers = signed.vouchers.map((voucher, index) =>
      index === 2 ? wrong : index === 3 ? low : voucher,
    )
    const { outcome, refusals } = await submit('CloseBatch', [{ ...signed, vouchers }])
    const expected = ['ChannelFinalized', 'InvalidSignature', 'ClaimExceedsVoucher', 'ChannelNotFound']
    expect(refusals).toEqual([[null, ...expected, null]])
    expect(outcome.refused.map(({ error }) => error)).toEqual(expected)
    expect(await world.balance(payee.address)).toBe(900n)
    // What was left out is sent again under the same signature; what was done is not done twice.
    const again = await submit('CloseBatch', [signed])
    const done = 'ChannelFinalized'
    expect(again.refusals).toEqual([[done, done, null, null, 'ChannelNotFound', done]])
    expect(await world.balance(payee.address)).toBe(1_800n)
  })

  test('a claim above the deposit is left out, whatever was signed', async () => {
    const channels = await fleet(1, newKeys(1))
    const above = await signBatch(world, 'CloseBatch', channels, 1_001n, 5_000n)
    expect((await submit('CloseBatch', [above])).refusals).toEqual([['AmountExceedsDeposit']])
  })

  test('the same channel twice is paid once', async () => {
    const channels = await fleet(1, newKeys(1))
    const twice = [...channels, ...channels]
    const closed = await submit('CloseBatch', [await sign('CloseBatch', twice, 500n)])
    expect(closed.refusals).toEqual([[null, 'ChannelFinalized']])
    expect(await world.balance(twice[0]?.payee.address ?? '0x')).toBe(450n)
  })

  test('a blocklisted provider and a blocklisted agent get credits; everybody else is paid', async () => {
    const providers = newKeys(3)
    const channels = await fleet(6, providers)
    const [provider, agent] = [providers[1]?.address ?? '0x', channels[0]?.payer.address ?? '0x']
    await world.tokenOwner('blacklist', [provider])
    await world.tokenOwner('blacklist', [agent])
    const batches = await Promise.all(byProvider(channels).map((group) => sign('CloseBatch', group, 500n)))
    const { outcome } = await submit('CloseBatch', batches)
    expect(outcome.credited).toEqual([
      { account: agent, micros: 500n },
      { account: provider, micros: 900n },
    ])
    expect([await credit(provider), await credit(agent)]).toEqual([900n, 500n])
    for (const [index, { address }] of providers.entries()) {
      expect(await world.balance(address)).toBe(index === 1 ? 0n : 900n)
    }
    await world.tokenOwner('unBlacklist', [provider])
    const { escrow } = world.chain
    const data = encodeFunctionData({
      abi: orienEscrowAbi,
      functionName: 'deliverCredit',
      args: [provider],
    })
    expect(await world.send(relayer, escrow, data)).toMatchObject({ status: 'ok' })
    expect(await world.balance(provider)).toBe(900n)
  })

  test('attack: a contract as session key that burns gas; it is asked nothing', async () => {
    const channels = await fleet(2, newKeys(1))
    const [first] = channels
    if (!first) return expect.fail('a channel')
    // Burns all the gas that it is given.
    await world.node.setCode({ address: first.session.address, bytecode: '0xfe' })
    const stranger = await world.actor()
    const forged = {
      cumulativeMicros: micros(900n),
      signature: await signVoucher(world, first, 900n, stranger),
    }
    const signed = await sign('CloseBatch', channels, 500n)
    const vouchers = [forged, signed.vouchers[1] ?? null]
    const { refusals, mined } = await submit('CloseBatch', [{ ...signed, vouchers }])
    expect(refusals).toEqual([['InvalidSignature', null]])
    expect(mined.gasUsed).toBeLessThan(300_000n)
    expect((await submit('CloseBatch', [signed])).refusals[0]?.[0]).toBeNull()
  })
})

describe('attack: a gas limit that leaves a payment or a claim out of a batch; none does', () => {
  test('it does all, or it reverts', async () => {
    const channels = await fleet(4, newKeys(2))
    const batches = await Promise.all(byProvider(channels).map((group) => sign('CloseBatch', group, 500n)))
    const { data } = encodeBatch(world.chain.escrow, 'CloseBatch', batches)
    const statuses: string[] = []
    for (let gas = 100_000n; gas <= 800_000n; gas += 10_000n) {
      const id = await world.node.snapshot()
      const mined = await world.sendWithGas(relayer, data, gas)
      statuses.push(mined.status)
      const { paid, credited, refused } = readBatchLogs(world.chain.escrow, mined.logs)
      expect([credited, refused, paid.length]).toEqual([[], [], mined.status === 'success' ? 4 : 0])
      await world.node.revert({ id })
    }
    expect(new Set(statuses)).toEqual(new Set(['reverted', 'success']))
    expect(statuses).toEqual(statuses.toSorted())
  })
})

describe('many calls in one transaction', () => {
  test('one that reverts is left out and named; the others happen', async () => {
    const { escrow } = world.chain
    const prepared = await prepareFleet(world, { channels: 3, providers: newKeys(1), depositMicros: 500n })
    const [first, poor, last] = prepared
    if (!first || !poor || !last) return expect.fail('three channels')
    await world.fillUp([first.channel.payer.address, last.channel.payer.address], 500n)
    const calls = [...prepared.map(({ call }) => call), encodeWithdraw(escrow, first.channel.id)]
    const mined = await world.send(relayer, escrow, encodeTryAll(escrow, calls, 250_000n).data)
    expect(mined).toMatchObject({ status: 'ok' })
    expect(await stateOf(first.channel)).toMatchObject({ depositMicros: 500n })
    expect(await stateOf(last.channel)).toMatchObject({ depositMicros: 500n })
    expect(await stateOf(poor.channel)).toBeNull()
  })

  test('each call gets its gas or the whole reverts, so that an estimate can be trusted', async () => {
    const { escrow } = world.chain
    const prepared = await prepareFleet(world, { channels: 2, providers: newKeys(1), depositMicros: 500n })
    await world.fillUp(
      prepared.map(({ channel }) => channel.payer.address),
      500n,
    )
    const { data } = encodeTryAll(
      escrow,
      prepared.map(({ call }) => call),
      250_000n,
    )
    for (let gas = 100_000n; gas <= 700_000n; gas += 20_000n) {
      const id = await world.node.snapshot()
      const mined = await world.sendWithGas(relayer, data, gas)
      const opened = mined.logs.filter(({ address }) => address.toLowerCase() === escrow.toLowerCase())
      expect(opened).toHaveLength(mined.status === 'success' ? 2 : 0)
      await world.node.revert({ id })
    }
  })

  test('calls are made as the caller: nobody becomes a payee by it', async () => {
    const { escrow } = world.chain
    const [channel, thief] = [await openChannel(world, 1_000n), await world.actor()]
    const voucher = await signVoucher(world, channel, 500n)
    const abi = orienEscrowAbi
    const args = [channel.id, 500n, voucher] as const
    const close = { to: escrow, data: encodeFunctionData({ abi, functionName: 'close', args }) }
    const tried = encodeTryAll(escrow, [close], 400_000n).data
    expect(await world.send(thief, escrow, tried)).toMatchObject({ status: 'ok' })
    expect(await stateOf(channel)).toMatchObject({ phase: 'open' })
    expect(await world.send(channel.payee, escrow, tried)).toMatchObject({ status: 'ok' })
    expect(await stateOf(channel)).toMatchObject({ phase: 'finalized', settledMicros: 500n })
  })
})
