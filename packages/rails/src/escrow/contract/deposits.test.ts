import { fiatTokenAbi, orienEscrowAbi } from '@orien/contracts'
import { encodeFunctionData, parseEventLogs, zeroAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomWord } from '../../random.ts'
import { readChannel } from '../readChannel.ts'
import {
  approve,
  expectedChannelId,
  openChannel,
  openingNonce,
  signDeposit,
  toppingUpNonce,
} from '../testing/channel.ts'
import { openWorld, type World } from '../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const reverted = (error: string) => ({ status: 'reverted', error })

/** Everything a relayer needs to open a payer's channel. */
async function relayable(micros = 500_000n) {
  const [payer, payee, session] = [await world.actor(micros), await world.actor(), await world.actor()]
  const { usdc } = world.chain
  const salt = randomWord()
  const nonce = openingNonce(payer.address, payee.address, usdc, salt, session.address)
  const deposit = await signDeposit(world, payer, micros, nonce)
  return { payer, payee, session, salt, micros, deposit, token: usdc }
}
type Relayable = Awaited<ReturnType<typeof relayable>>

async function relay(opening: Relayable, changed: Partial<Relayable> = {}) {
  const { payer, payee, session, salt, micros, deposit, token } = { ...opening, ...changed }
  const terms = [payee.address, token, micros, salt, session.address, payer.address] as const
  const { validAfter, validBefore, nonce, signature } = deposit
  const relayer = await world.actor()
  return world.act(relayer, 'openWithAuthorization', [...terms, validAfter, validBefore, nonce, signature])
}

describe('open', () => {
  test('takes the deposit and says all of the channel in its event', async () => {
    const [payer, payee] = [await world.actor(700_000n), await world.actor()]
    await approve(world, payer, 700_000n)
    const salt = randomWord()
    const opened = await world.act(payer, 'open', [
      payee.address,
      world.chain.usdc,
      700_000n,
      salt,
      zeroAddress,
    ])
    if (opened.status !== 'ok') return expect.fail(opened.error)
    const [event] = parseEventLogs({ abi: orienEscrowAbi, logs: opened.logs, eventName: 'ChannelOpened' })
    const parties = { payer: payer.address, payee: payee.address, authorizedSigner: zeroAddress }
    const channelId = expectedChannelId(world, { ...parties, salt })
    expect(event?.args).toEqual({ channelId, ...parties, token: world.chain.usdc, salt, deposit: 700_000n })
    expect(await readChannel(world.client, world.chain.escrow, channelId)).toEqual({
      status: 'found',
      channel: {
        ...parties,
        token: world.chain.usdc,
        depositMicros: 700_000n,
        settledMicros: 0n,
        phase: 'open',
        closeRequestedAt: null,
      },
    })
  })

  test('refuses an empty deposit, a payee of zero, and more than was approved', async () => {
    const payer = await world.actor(100n)
    const { usdc } = world.chain
    const open = (payee: `0x${string}`, micros: bigint) =>
      world.act(payer, 'open', [payee, usdc, micros, randomWord(), zeroAddress])
    expect(await open(payer.address, 0n)).toMatchObject(reverted('ZeroDeposit'))
    expect(await open(zeroAddress, 1n)).toMatchObject(reverted('ZeroAddress'))
    expect(await open(payer.address, 1n)).toMatchObject(reverted('TokenRefused'))
  })

  test('refuses the same channel twice', async () => {
    const { payer, payee, session, salt } = await openChannel(world)
    await world.chain.mint(payer.address, 10n)
    await approve(world, payer, 10n)
    const again = await world.act(payer, 'open', [
      payee.address,
      world.chain.usdc,
      10n,
      salt,
      session.address,
    ])
    expect(again).toMatchObject(reverted('ChannelAlreadyExists'))
  })

  test('two payers with the same parameters have two channels', async () => {
    const [payee, session, salt] = [await world.actor(), await world.actor(), randomWord()]
    const ids = [await world.actor(), await world.actor()].map((payer) => {
      const parties = { payer: payer.address, payee: payee.address, authorizedSigner: session.address }
      return expectedChannelId(world, { ...parties, salt })
    })
    expect(ids[0]).not.toBe(ids[1])
  })
})

describe('openWithAuthorization', () => {
  test('opens the channel of the one who signed, without gas of theirs', async () => {
    const opening = await relayable()
    expect(await relay(opening)).toMatchObject({ status: 'ok' })
    const { payer, payee, session, salt } = opening
    const parties = { payer: payer.address, payee: payee.address, authorizedSigner: session.address }
    const id = expectedChannelId(world, { ...parties, salt })
    expect(await readChannel(world.client, world.chain.escrow, id)).toMatchObject({
      channel: { payer: payer.address, depositMicros: 500_000n },
    })
    expect(await world.balance(payer.address)).toBe(0n)
  })

  test('attack: a relayed deposit is redirected; payee, salt, signer and payer are in the signed nonce', async () => {
    const opening = await relayable()
    const other = await world.actor()
    expect(await relay(opening, { payee: other })).toMatchObject(reverted('NonceMismatch'))
    expect(await relay(opening, { session: other })).toMatchObject(reverted('NonceMismatch'))
    expect(await relay(opening, { salt: randomWord() })).toMatchObject(reverted('NonceMismatch'))
    expect(await relay(opening, { payer: other })).toMatchObject(reverted('NonceMismatch'))
  })

  test('attack: a relayed deposit is redirected with a nonce made to fit; the token refuses it', async () => {
    const opening = await relayable()
    const thief = await world.actor()
    const { payer, token, salt, session, deposit } = opening
    const nonce = openingNonce(payer.address, thief.address, token, salt, session.address)
    const stolen = await relay(opening, { payee: thief, deposit: { ...deposit, nonce } })
    expect(stolen).toMatchObject({
      ...reverted('TokenRefused'),
      detail: expect.stringContaining('signature'),
    })
  })

  test('a relayer cannot change the amount', async () => {
    const opening = await relayable()
    await world.chain.mint(opening.payer.address, 1n)
    expect(await relay(opening, { micros: opening.micros + 1n })).toMatchObject(reverted('TokenRefused'))
    expect(await relay(opening, { micros: opening.micros - 1n })).toMatchObject(reverted('TokenRefused'))
  })

  test('attack: the authorisation is taken to the token past the escrow; nobody else can redeem it', async () => {
    const { payer, micros, deposit } = await relayable()
    const thief = await world.actor()
    const { validAfter, validBefore, nonce, signature } = deposit
    const args = [
      payer.address,
      world.chain.escrow,
      micros,
      validAfter,
      validBefore,
      nonce,
      signature,
    ] as const
    const data = encodeFunctionData({ abi: fiatTokenAbi, functionName: 'receiveWithAuthorization', args })
    expect(await world.send(thief, world.chain.usdc, data)).toMatchObject(reverted('TokenRefused'))
  })

  test('one authorisation opens one channel', async () => {
    const opening = await relayable()
    expect(await relay(opening)).toMatchObject({ status: 'ok' })
    await world.chain.mint(opening.payer.address, opening.micros)
    expect(await relay(opening)).toMatchObject(reverted('ChannelAlreadyExists'))
  })
})

describe('topUp', () => {
  test('adds to the deposit of the payer', async () => {
    const channel = await openChannel(world)
    await world.chain.mint(channel.payer.address, 250n)
    await approve(world, channel.payer, 250n)
    const added = await world.act(channel.payer, 'topUp', [channel.id, 250n])
    if (added.status !== 'ok') return expect.fail(added.error)
    const [event] = parseEventLogs({ abi: orienEscrowAbi, logs: added.logs, eventName: 'ChannelToppedUp' })
    const amounts = { additionalDeposit: 250n, deposit: 1_000_250n }
    expect(event?.args).toEqual({ channelId: channel.id, ...amounts })
  })

  test('is refused to others, for nothing, for no channel, and over 64 bits', async () => {
    const channel = await openChannel(world)
    const { payer, payee, id } = channel
    expect(await world.act(payee, 'topUp', [id, 1n])).toMatchObject(reverted('NotPayer'))
    expect(await world.act(payer, 'topUp', [id, 0n])).toMatchObject(reverted('ZeroDeposit'))
    expect(await world.act(payer, 'topUp', [randomWord(), 1n])).toMatchObject(reverted('ChannelNotFound'))
    const tooMuch = 2n ** 64n - channel.depositMicros
    expect(await world.act(payer, 'topUp', [id, tooMuch])).toMatchObject(reverted('DepositOverflow'))
    await world.chain.mint(payer.address, tooMuch)
    await approve(world, payer, tooMuch)
    expect(await world.act(payer, 'topUp', [id, tooMuch - 1n])).toMatchObject({ status: 'ok' })
  })
})

describe('topUpWithAuthorization', () => {
  test('adds what anyone has signed over, once, and to the channel that they named', async () => {
    const [channel, other, giver] = [
      await openChannel(world),
      await openChannel(world),
      await world.actor(900n),
    ]
    const salt = randomWord()
    const nonce = toppingUpNonce(channel.id, 900n, giver.address, salt)
    const deposit = await signDeposit(world, giver, 900n, nonce)
    const relayer = await world.actor()
    const topUp = (id: `0x${string}`, micros: bigint, saltUsed = salt) => {
      const window = [deposit.validAfter, deposit.validBefore] as const
      const args = [id, micros, giver.address, saltUsed, ...window, nonce, deposit.signature] as const
      return world.act(relayer, 'topUpWithAuthorization', args)
    }
    expect(await topUp(other.id, 900n)).toMatchObject(reverted('NonceMismatch'))
    expect(await topUp(channel.id, 899n)).toMatchObject(reverted('NonceMismatch'))
    expect(await topUp(channel.id, 900n, randomWord())).toMatchObject(reverted('NonceMismatch'))
    expect(await topUp(channel.id, 900n)).toMatchObject({ status: 'ok' })
    expect(await topUp(channel.id, 900n)).toMatchObject(reverted('TokenRefused'))
  })
})
