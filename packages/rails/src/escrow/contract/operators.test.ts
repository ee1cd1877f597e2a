import { orienEscrowAbi } from '@orien/contracts'
import { type Hex, type PrivateKeyAccount, parseEventLogs, zeroAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomWord } from '../../random.ts'
import { readOperator } from '../readOperator.ts'
import { openChannel, randomNonce } from '../testing/channel.ts'
import { escrowDomain, signEscrow } from '../testing/typedData.ts'
import { openWorld, type World } from '../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const reverted = (error: string) => ({ status: 'reverted', error })
const ok = { status: 'ok' }
const farAway = 2n ** 40n

const state = (owner: PrivateKeyAccount, operator: PrivateKeyAccount) =>
  readOperator(world.client, world.chain.escrow, owner.address, operator.address)

type Terms = { owner: Hex; operator: Hex; allowed: boolean; nonce: bigint; deadline: bigint }

async function relay(signer: PrivateKeyAccount, terms: Terms, sent: Partial<Terms> = {}) {
  const signature = await signEscrow(signer, escrowDomain(world.chain.escrow), 'SetOperator', terms)
  const { owner, operator, allowed, nonce, deadline } = { ...terms, ...sent }
  const args = [owner, operator, allowed, nonce, deadline, signature] as const
  return world.act(await world.actor(), 'setOperatorWithAuthorization', args)
}

async function terms() {
  const [owner, operator] = [await world.actor(), await world.actor()]
  const parties = { owner: owner.address, operator: operator.address }
  return { owner, operator, signed: { ...parties, allowed: true, nonce: randomNonce(), deadline: farAway } }
}

test('an owner allows and revokes its own operators, and says so in an event', async () => {
  const [owner, operator] = [await world.actor(), await world.actor()]
  const allowed = await world.act(owner, 'setOperator', [operator.address, true])
  if (allowed.status !== 'ok') return expect.fail(allowed.error)
  const [event] = parseEventLogs({ abi: orienEscrowAbi, logs: allowed.logs, eventName: 'OperatorSet' })
  expect(event?.args).toEqual({ owner: owner.address, operator: operator.address, allowed: true })
  expect(await state(owner, operator)).toEqual({ status: 'allowed' })
  await world.act(owner, 'setOperator', [operator.address, false])
  expect(await state(owner, operator)).toEqual({ status: 'not_allowed' })
})

describe('setOperatorWithAuthorization', () => {
  test('anyone may submit what the owner has signed', async () => {
    const { owner, operator, signed } = await terms()
    expect(await relay(owner, signed)).toMatchObject(ok)
    expect(await state(owner, operator)).toEqual({ status: 'allowed' })
  })

  test('attack: an old permission is replayed after it was revoked', async () => {
    const { owner, operator, signed } = await terms()
    await relay(owner, signed)
    expect(await relay(owner, { ...signed, allowed: false, nonce: signed.nonce + 1n })).toMatchObject(ok)
    expect(await relay(owner, signed)).toMatchObject(reverted('NonceAlreadyUsed'))
    expect(await state(owner, operator)).toEqual({ status: 'not_allowed' })
  })

  test('nothing of what was signed can be changed, and nobody else can sign it', async () => {
    const { owner, operator, signed } = await terms()
    const thief = await world.actor()
    const outcomes = [
      await relay(thief, signed),
      await relay(operator, signed),
      await relay(owner, signed, { operator: thief.address }),
      await relay(owner, signed, { owner: thief.address }),
      await relay(owner, signed, { allowed: false }),
      await relay(owner, signed, { nonce: signed.nonce + 1n }),
      await relay(owner, signed, { deadline: signed.deadline + 1n }),
    ]
    for (const outcome of outcomes) expect(outcome).toMatchObject(reverted('InvalidSignature'))
  })

  test('is void after its deadline', async () => {
    const { owner, signed } = await terms()
    const deadline = BigInt(await world.now()) - 1n
    expect(await relay(owner, { ...signed, deadline })).toMatchObject(reverted('AuthorizationExpired'))
  })

  test('a signature that recovers to nobody does not make the zero address an owner', async () => {
    const stranger = await world.actor()
    const garbage: Hex = `0x${'11'.repeat(32)}${'22'.repeat(32)}05`
    const args = [zeroAddress, stranger.address, true, 1n, farAway, garbage] as const
    const outcome = await world.act(stranger, 'setOperatorWithAuthorization', args)
    expect(outcome).toMatchObject(reverted('InvalidSignature'))
  })
})

test('an operator can do nothing else for its owner', async () => {
  const { payee: owner, payer, id } = await openChannel(world)
  const [operator, friend] = [await world.actor(), await world.actor()]
  await world.act(owner, 'setOperator', [operator.address, true])
  const outcomes = [
    await world.act(operator, 'requestClose', [id]),
    await world.act(operator, 'topUp', [id, 1n]),
    await world.act(operator, 'withdrawCredit', [operator.address]),
    await relay(operator, {
      ...{ owner: owner.address, operator: friend.address, allowed: true },
      ...{ nonce: randomNonce(), deadline: farAway },
    }),
  ]
  expect(outcomes.map((outcome) => outcome.status)).toEqual(Array(4).fill('reverted'))
  // As an owner it speaks for itself alone, and a payer's operator has no say over the payer's channel.
  await world.act(operator, 'setOperator', [friend.address, true])
  expect(await world.act(friend, 'close', [id, 0n, '0x'])).toMatchObject(reverted('NotPayee'))
  await world.act(payer, 'setOperator', [friend.address, true])
  expect(await world.act(friend, 'requestClose', [id])).toMatchObject(reverted('NotPayer'))
  expect(await world.act(friend, 'withdraw', [randomWord()])).toMatchObject(reverted('ChannelNotFound'))
})
