import type { Hex, PrivateKeyAccount } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readChannel } from '../readChannel.ts'
import { openChannel, randomNonce, signVoucher, type TestChannel } from '../testing/channel.ts'
import { escrowDomain, signEscrow } from '../testing/typedData.ts'
import { openWorld, type World } from '../testing/world.ts'

let world: World
let relayer: PrivateKeyAccount
beforeAll(async () => {
  world = await openWorld()
  relayer = await world.actor()
})
afterAll(() => world.close())

const reverted = (error: string) => ({ status: 'reverted', error })
const ok = { status: 'ok' }
const farAway = 2n ** 40n
const voucherMicros = 1_000n

type Call = {
  micros: bigint
  nonce: bigint
  deadline: bigint
  /** What the payee signed; differs from what is sent in the tests of tampering. */
  signedMicros?: bigint
}

/** The four relayed payouts behind one shape, so that each rule is tried on all of them. */
const ways = [
  {
    name: 'settleWithAuthorization',
    type: 'SettleAuthorization',
    closes: false,
    submit: async (channel: TestChannel, { micros, nonce, deadline }: Call, signature: Hex) => {
      const voucher = await signVoucher(world, channel, micros)
      const args = [channel.id, micros, nonce, deadline, signature, voucher] as const
      return world.act(relayer, 'settleWithAuthorization', args)
    },
  },
  {
    name: 'closeWithAuthorization',
    type: 'CloseAuthorization',
    closes: true,
    submit: async (channel: TestChannel, { micros, nonce, deadline }: Call, signature: Hex) => {
      const voucher = await signVoucher(world, channel, micros)
      const args = [channel.id, micros, nonce, deadline, signature, voucher] as const
      return world.act(relayer, 'closeWithAuthorization', args)
    },
  },
  {
    name: 'claimWithAuthorization',
    type: 'Claim',
    closes: false,
    submit: async (channel: TestChannel, { micros, nonce, deadline }: Call, signature: Hex) => {
      const voucher = await signVoucher(world, channel, voucherMicros)
      const args = [channel.id, micros, voucherMicros, voucher, nonce, deadline, signature] as const
      return world.act(relayer, 'claimWithAuthorization', args)
    },
  },
  {
    name: 'claimAndCloseWithAuthorization',
    type: 'ClaimAndClose',
    closes: true,
    submit: async (channel: TestChannel, { micros, nonce, deadline }: Call, signature: Hex) => {
      const voucher = await signVoucher(world, channel, voucherMicros)
      const args = [channel.id, micros, voucherMicros, voucher, nonce, deadline, signature] as const
      return world.act(relayer, 'claimAndCloseWithAuthorization', args)
    },
  },
] as const
type Way = (typeof ways)[number]

async function submit(way: Way, channel: TestChannel, signer: PrivateKeyAccount, call: Partial<Call> = {}) {
  const sent = { micros: 500n, nonce: randomNonce(), deadline: farAway, ...call }
  const amountName = way.type.startsWith('Claim') ? 'claimAmount' : 'cumulativeAmount'
  const { nonce, deadline } = sent
  const message = { channelId: channel.id, [amountName]: call.signedMicros ?? sent.micros, nonce, deadline }
  const signature = await signEscrow(signer, escrowDomain(world.chain.escrow), way.type, message)
  return way.submit(channel, sent, signature)
}

describe.each(ways)('$name', (way) => {
  test('anyone may submit what the payee has signed', async () => {
    const channel = await openChannel(world)
    expect(await submit(way, channel, channel.payee)).toMatchObject(ok)
    expect(await world.balance(channel.payee.address)).toBe(450n)
    const reading = await readChannel(world.client, world.chain.escrow, channel.id)
    expect(reading).toMatchObject({
      channel: { phase: way.closes ? 'finalized' : 'open', settledMicros: 500n },
    })
  })

  test('an operator may sign in the payee’s place, until it is revoked', async () => {
    const channel = await openChannel(world)
    const operator = await world.actor()
    expect(await submit(way, channel, operator)).toMatchObject(reverted('InvalidSignature'))
    await world.act(channel.payee, 'setOperator', [operator.address, true])
    await world.act(channel.payee, 'setOperator', [operator.address, false])
    expect(await submit(way, channel, operator)).toMatchObject(reverted('InvalidSignature'))
    await world.act(channel.payee, 'setOperator', [operator.address, true])
    expect(await submit(way, channel, operator)).toMatchObject(ok)
  })

  test('nobody else’s signature counts', async () => {
    const channel = await openChannel(world)
    for (const who of [channel.payer, channel.session, relayer]) {
      expect(await submit(way, channel, who)).toMatchObject(reverted('InvalidSignature'))
    }
  })

  test('attack: a relayer lowers or raises what the payee signed', async () => {
    const channel = await openChannel(world)
    const { payee } = channel
    const lowered = await submit(way, channel, payee, { micros: 400n, signedMicros: 500n })
    expect(lowered).toMatchObject(reverted('InvalidSignature'))
    const raised = await submit(way, channel, payee, { micros: 600n, signedMicros: 500n })
    expect(raised).toMatchObject(reverted('InvalidSignature'))
  })

  test('is void after its deadline, to the second', async () => {
    const channel = await openChannel(world)
    const deadline = (await world.now()) + 100
    await world.node.setNextBlockTimestamp({ timestamp: BigInt(deadline + 1) })
    await world.node.mine({ blocks: 1 })
    const late = await submit(way, channel, channel.payee, { deadline: BigInt(deadline) })
    expect(late).toMatchObject(reverted('AuthorizationExpired'))
  })

  test('a signature for one function is none for another', async () => {
    const channel = await openChannel(world)
    for (const other of ways.filter(({ name }) => name !== way.name)) {
      const crossed = { ...way, type: other.type } as Way
      const outcome = await submit(crossed, channel, channel.payee)
      expect(outcome).toMatchObject(reverted('InvalidSignature'))
    }
  })
})

test('one nonce serves once per channel, over all four functions', async () => {
  const partial = ways.filter((way) => !way.closes)
  for (const first of partial) {
    const channel = await openChannel(world)
    const nonce = randomNonce()
    expect(await submit(first, channel, channel.payee, { nonce, micros: 100n })).toMatchObject(ok)
    for (const way of ways) {
      const again = await submit(way, channel, channel.payee, { nonce, micros: 200n })
      expect(again).toMatchObject(reverted('NonceAlreadyUsed'))
    }
    const other = await openChannel(world, 1_000_000n, { payee: channel.payee })
    expect(await submit(first, other, channel.payee, { nonce, micros: 100n })).toMatchObject(ok)
  }
})

test('a claim that reverts does not spend its nonce', async () => {
  const channel = await openChannel(world, 300n)
  const nonce = randomNonce()
  const [, , claim] = ways
  const tooMuch = await submit(claim, channel, channel.payee, { nonce, micros: 400n })
  expect(tooMuch).toMatchObject(reverted('AmountExceedsDeposit'))
  expect(await submit(claim, channel, channel.payee, { nonce, micros: 300n })).toMatchObject(ok)
})
