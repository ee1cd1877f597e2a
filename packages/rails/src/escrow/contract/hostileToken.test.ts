import { hostileTokenAbi, hostileTokenBytecode } from '@orien/contracts/testing'
import {
  type Address,
  type ContractFunctionArgs,
  type EncodeFunctionDataParameters,
  encodeFunctionData,
  type Hex,
  type PrivateKeyAccount,
  toFunctionSelector,
  zeroAddress,
} from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { localAccounts } from '../../localChain/accounts.ts'
import { randomWord } from '../../random.ts'
import { encodeBatch } from '../encodeBatch.ts'
import { readBatchLogs } from '../readBatch.ts'
import { readChannel } from '../readChannel.ts'
import { openingNonce, signVoucher } from '../testing/channel.ts'
import { byProvider, newKeys, openFleet, signBatch } from '../testing/fleet.ts'
import { encodeEscrow, openWorld, type World, worldWithToken } from '../testing/world.ts'

let chain: World
/** The chain, with an escrow for the hostile token of the running test. */
let world: World
beforeAll(async () => {
  chain = await openWorld()
})
afterAll(() => chain.close())

const reverted = (error: string) => ({ status: 'reverted', error })
const ok = { status: 'ok' }
const reentered = toFunctionSelector('function ReentrancyGuardReentrantCall()')

/** A channel in the hostile token, whose payee is the token itself, so that its callbacks are a payee's. */
async function hostileChannel(depositMicros = 10_000n) {
  const payer = await chain.actor()
  const token = await chain.deploy(payer, hostileTokenBytecode)
  world = await worldWithToken(chain, payer, token)
  await tell(payer, token, 'mint', [payer.address, depositMicros])
  const salt = randomWord()
  const opened = await world.act(payer, 'open', [token, token, depositMicros, salt, zeroAddress])
  if (opened.status !== 'ok') return expect.fail(opened.error)
  const log = opened.logs.find(({ address }) => address === world.chain.escrow.toLowerCase())
  const id = log?.topics[1] ?? '0x'
  return { id, payer, payee: payer, session: payer, salt, depositMicros, token }
}

function tell<Name extends 'mint' | 'behave' | 'act' | 'burnGasFor'>(
  from: PrivateKeyAccount,
  token: Address,
  functionName: Name,
  args: ContractFunctionArgs<typeof hostileTokenAbi, 'nonpayable', Name>,
) {
  const parameters = { abi: hostileTokenAbi, functionName, args } as EncodeFunctionDataParameters
  return world.send(from, token, encodeFunctionData(parameters))
}

const look = (address: Address, functionName: 'callbackSucceeded' | 'callbackResult') =>
  world.client.readContract({ address, abi: hostileTokenAbi, functionName })

/** Lets the token, as the channel's payee, call the escrow. */
const asPayee = (from: PrivateKeyAccount, token: Address, data: Hex) =>
  tell(from, token, 'act', [world.chain.escrow, data])

describe('a token that calls back during a payout', () => {
  test('gets into no function that moves money', async () => {
    const channel = await hostileChannel()
    const { id, payer, token } = channel
    const more = await signVoucher(world, channel, 5_000n)
    const window = [0n, 2n ** 40n] as const
    const opening = [token, token, 1n, randomWord(), zeroAddress, payer.address] as const
    const nonce = openingNonce(payer.address, token, token, opening[3], zeroAddress)
    const attempts = [
      encodeEscrow('settle', [id, 5_000n, more]),
      encodeEscrow('close', [id, 5_000n, more]),
      encodeEscrow('claim', [id, 5_000n, 5_000n, more]),
      encodeEscrow('claimAndClose', [id, 0n, 0n, '0x']),
      encodeEscrow('settleWithAuthorization', [id, 5_000n, 1n, 2n ** 40n, more, more]),
      encodeEscrow('closeWithAuthorization', [id, 5_000n, 1n, 2n ** 40n, more, more]),
      encodeEscrow('claimWithAuthorization', [id, 5_000n, 5_000n, more, 1n, 2n ** 40n, more]),
      encodeEscrow('claimAndCloseWithAuthorization', [id, 5_000n, 5_000n, more, 1n, 2n ** 40n, more]),
      encodeEscrow('withdraw', [id]),
      encodeEscrow('withdrawCredit', [token]),
      encodeEscrow('deliverCredit', [token]),
      encodeEscrow('open', [token, token, 1n, randomWord(), zeroAddress]),
      encodeEscrow('openWithAuthorization', [...opening, ...window, nonce, '0x']),
      encodeEscrow('topUp', [id, 1n]),
      encodeEscrow('topUpWithAuthorization', [id, 1n, token, randomWord(), ...window, randomWord(), '0x']),
    ]
    let claimed = 0n
    for (const callback of attempts) {
      claimed += 100n
      const voucher = await signVoucher(world, channel, claimed)
      await tell(payer, token, 'behave', [0n, false, callback])
      expect(await asPayee(payer, token, encodeEscrow('settle', [id, claimed, voucher]))).toMatchObject(ok)
      expect(await look(token, 'callbackSucceeded')).toBe(false)
      expect(await look(token, 'callbackResult')).toBe(reentered)
    }
    const reading = await readChannel(world.client, world.chain.escrow, id)
    expect(reading).toMatchObject({ channel: { settledMicros: claimed, depositMicros: 10_000n } })
  })
})

describe('a token that keeps a fee', () => {
  test('opens no channel and adds to none, so nobody is owed what never came', async () => {
    const { id, payer, token } = await hostileChannel()
    await tell(payer, token, 'mint', [payer.address, 1_000n])
    await tell(payer, token, 'behave', [1n, false, '0x'])
    const { escrow } = world.chain
    const opened = await world.act(payer, 'open', [token, token, 500n, randomWord(), zeroAddress])
    expect(opened).toMatchObject(reverted('DepositMismatch'))
    expect(await world.act(payer, 'topUp', [id, 500n])).toMatchObject(reverted('DepositMismatch'))
    const salt = randomWord()
    const nonce = openingNonce(payer.address, token, token, salt, zeroAddress)
    const terms = [token, token, 500n, salt, zeroAddress, payer.address] as const
    const relayed = await world.act(payer, 'openWithAuthorization', [...terms, 0n, 2n ** 40n, nonce, '0x'])
    expect(relayed).toMatchObject(reverted('DepositMismatch'))
    expect(await readChannel(world.client, escrow, id)).toMatchObject({ channel: { depositMicros: 10_000n } })
  })
})

describe('attack: a token that burns all gas for one receiver', () => {
  test('takes 200,000 from a batch and no more: that receiver gets a credit, the others are paid', async () => {
    const { payer, token } = await hostileChannel()
    await tell(payer, token, 'mint', [localAccounts.deployer, 1_000_000n])
    const providers = newKeys(3)
    const plan = { channels: 3, providers, depositMicros: 1_000n }
    const { channels } = await openFleet(world, payer, plan)
    const [, burner] = providers
    if (burner === undefined) return expect.fail('providers')
    await tell(payer, token, 'burnGasFor', [burner.address])
    const groups = byProvider(channels).map((group) => signBatch(world, 'CloseBatch', group, 500n, 900n))
    const { escrow } = world.chain
    const { data } = encodeBatch(escrow, 'CloseBatch', await Promise.all(groups))
    const mined = await world.sendWithGas(payer, data, 1_500_000n)
    expect(mined.status).toBe('success')
    expect(mined.gasUsed).toBeGreaterThan(200_000n)
    expect(mined.gasUsed).toBeLessThan(800_000n)
    const { credited, closed } = readBatchLogs(escrow, mined.logs)
    expect([credited, closed.length]).toEqual([[{ account: burner.address, micros: 450n }], 3])
    const held = await Promise.all(providers.map(({ address }) => world.balance(address)))
    expect(held).toEqual([450n, 0n, 450n])
  })
})

describe('a token that answers false', () => {
  test('takes no deposit, and leaves credits instead of payments', async () => {
    const channel = await hostileChannel()
    const { id, payer, token } = channel
    await tell(payer, token, 'mint', [payer.address, 1_000n])
    await tell(payer, token, 'behave', [0n, true, '0x'])
    const opened = await world.act(payer, 'open', [token, token, 500n, randomWord(), zeroAddress])
    expect(opened).toMatchObject(reverted('SafeERC20FailedOperation'))
    const voucher = await signVoucher(world, channel, 1_000n)
    expect(await asPayee(payer, token, encodeEscrow('close', [id, 1_000n, voucher]))).toMatchObject(ok)
    const refund = await world.act(payer, 'withdrawCredit', [payer.address])
    expect(refund).toMatchObject(reverted('SafeERC20FailedOperation'))
    await tell(payer, token, 'behave', [0n, false, '0x'])
    expect(await world.act(payer, 'withdrawCredit', [payer.address])).toMatchObject(ok)
  })

  test('an address without code is no token', async () => {
    const payer = await chain.actor()
    const nowhere = await worldWithToken(chain, payer, payer.address)
    const terms = [payer.address, payer.address, 1n, randomWord(), zeroAddress] as const
    expect((await nowhere.act(payer, 'open', terms)).status).toBe('reverted')
  })
})
