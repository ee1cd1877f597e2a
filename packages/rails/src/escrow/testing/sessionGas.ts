import { fiatTokenAbi } from '@orien/contracts'
import { channelId, invariant, micros } from '@orien/protocol'
import { encodeFunctionData, type Hex, type PrivateKeyAccount } from 'viem'
import { randomWord } from '../../random.ts'
import { encodeBatch } from '../encodeBatch.ts'
import { encodeClaimAndCloseWithAuthorization } from '../encodeClaim.ts'
import { approve, randomNonce, signClaim, signVoucher } from './channel.ts'
import { byProvider, newKeys, openFleet, prepareFleet, signBatch } from './fleet.ts'
import { depositTypes } from './typedData.ts'
import type { World } from './world.ts'

/** Gas of one session: what opened its channel, and what claimed, paid, refunded and closed it. */
export type SessionGas = { openGas: bigint; closeGas: bigint }

const depositMicros = 1_000_000n
const claimMicros = 333_333n
const voucherMicros = 900_000n
/** Everyone paid holds something already: a first payment costs 17,100 more, here as in the reference. */
const restMicros = 5n

/** A place to measure in: providers, platform and reserve that were paid before. */
export async function openGasWorld(world: World, providerCount: number) {
  const relayer = await world.actor(restMicros)
  const providers = newKeys(providerCount)
  const { platform, reserve, escrow } = world.chain
  const addresses = providers.map(({ address }) => address)
  await world.fillUp([...addresses, platform, reserve, escrow], restMicros)
  // A provider's first channel numbers its address, once.
  await openFleet(world, relayer, { channels: providerCount, providers })
  return { world, relayer, providers }
}
type GasWorld = Awaited<ReturnType<typeof openGasWorld>>

function gasOf(mined: Awaited<ReturnType<World['send']>>): bigint {
  invariant(mined.status === 'ok', 'what is measured succeeds')
  return mined.gasUsed
}

/** One session alone, both transactions relayed. */
export async function relayedSessionGas({ world, relayer, providers }: GasWorld): Promise<SessionGas> {
  const [prepared] = await prepareFleet(world, { channels: 1, providers })
  invariant(prepared !== undefined, 'a fleet of one')
  const { channel, call } = prepared
  const { escrow } = world.chain
  await world.fillUp([channel.payer.address], depositMicros + restMicros)
  const openGas = gasOf(await world.send(relayer, escrow, call.data))
  const claim = {
    channelId: channel.id,
    claimMicros: micros(claimMicros),
    nonce: randomNonce(),
    deadline: 2 ** 40,
  }
  const { nonce, deadline } = claim
  const signed = { channelId: channel.id, claimAmount: claimMicros, nonce, deadline: BigInt(deadline) }
  const claimSignature = await signClaim(world, 'ClaimAndClose', channel.payee, signed)
  const signature = await signVoucher(world, channel, voucherMicros)
  const voucher = { cumulativeMicros: micros(voucherMicros), signature }
  const close = encodeClaimAndCloseWithAuthorization(escrow, { claim, claimSignature, voucher })
  return { openGas, closeGas: gasOf(await world.send(relayer, escrow, close.data)) }
}

/** One session whose payer and payee send their own transactions. */
export async function directSessionGas({ world, providers }: GasWorld): Promise<SessionGas> {
  const [payee] = providers
  invariant(payee !== undefined, 'a provider')
  await world.chain.fund(payee.address)
  const [payer, session] = [await world.actor(depositMicros + restMicros), await world.actor()]
  const { usdc, escrow, chainId } = world.chain
  const salt = randomWord()
  await approve(world, payer, 2n * depositMicros)
  const opening = [payee.address, usdc, depositMicros, salt, session.address] as const
  const openGas = gasOf(await world.act(payer, 'open', opening))
  const parties = { payer: payer.address, payee: payee.address, authorizedSigner: session.address }
  const id = channelId({ chainId, escrow, token: usdc, salt, ...parties })
  const voucher = await signVoucher(world, { id, payer, payee, session, salt, depositMicros }, voucherMicros)
  const closing = [id, claimMicros, voucherMicros, voucher] as const
  return { openGas, closeGas: gasOf(await world.act(payee, 'claimAndClose', closing)) }
}

/** Sessions in batches: opened by `tryAll`, closed by one `closeBatch`; gas for each. */
export async function batchedSessionGas(gasWorld: GasWorld, count: number): Promise<SessionGas> {
  const { world, relayer, providers } = gasWorld
  const fleet = await openFleet(world, relayer, { channels: count, providers, depositMicros, restMicros })
  const groups = byProvider(fleet.channels)
  const batches = groups.map((group) => signBatch(world, 'CloseBatch', group, claimMicros, voucherMicros))
  const call = encodeBatch(world.chain.escrow, 'CloseBatch', await Promise.all(batches))
  const closed = gasOf(await world.send(relayer, call.to, call.data))
  return { openGas: fleet.gasUsed / BigInt(count), closeGas: closed / BigInt(count) }
}

/** One more claim on a channel that is kept: no opening, no refund. */
export async function keptSessionGas(gasWorld: GasWorld, count: number): Promise<bigint> {
  const { world, relayer, providers } = gasWorld
  const fleet = await openFleet(world, relayer, { channels: count, providers, depositMicros, restMicros })
  const claimAll = async (amountMicros: bigint) => {
    const groups = byProvider(fleet.channels)
    const batches = groups.map((group) => signBatch(world, 'ClaimBatch', group, amountMicros, voucherMicros))
    const call = encodeBatch(world.chain.escrow, 'ClaimBatch', await Promise.all(batches))
    return gasOf(await world.send(relayer, call.to, call.data))
  }
  await claimAll(100_000n)
  return (await claimAll(200_000n)) / BigInt(count)
}

/** The same money moved without a contract: a deposit to a custodian, three payments, a refund. */
export async function transfersGas({ world, relayer, providers }: GasWorld) {
  const { platform, reserve, usdc } = world.chain
  const [payee] = providers
  invariant(payee !== undefined, 'a provider')
  const pay = async (from: PrivateKeyAccount, to: Hex, amountMicros: bigint) => {
    const args = [to, amountMicros] as const
    const data = encodeFunctionData({ abi: fiatTokenAbi, functionName: 'transfer', args })
    return gasOf(await world.send(from, usdc, data))
  }
  const payer = await world.actor(2n * depositMicros + restMicros)
  const relayedDepositGas = await relayedTransferGas(world, relayer, payer)
  const depositGas = await pay(payer, relayer.address, depositMicros)
  const payments = [
    await pay(relayer, payee.address, 300_000n),
    await pay(relayer, platform, 23_333n),
    await pay(relayer, reserve, 10_000n),
    await pay(relayer, payer.address, 666_667n),
  ]
  const paymentsGas = payments.reduce((sum, gas) => sum + gas, 0n)
  return { relayedGas: relayedDepositGas + paymentsGas, directGas: depositGas + paymentsGas }
}

async function relayedTransferGas(world: World, relayer: PrivateKeyAccount, payer: PrivateKeyAccount) {
  const { usdc, usdcDomain, chainId } = world.chain
  const nonce = randomWord()
  const message = { from: payer.address, to: relayer.address, value: depositMicros, nonce }
  const window = { validAfter: 0n, validBefore: 2n ** 40n }
  const types = { TransferWithAuthorization: depositTypes.ReceiveWithAuthorization }
  const domain = { ...usdcDomain, chainId, verifyingContract: usdc }
  const primaryType = 'TransferWithAuthorization' as const
  const signature = await payer.signTypedData({
    domain,
    types,
    primaryType,
    message: { ...message, ...window },
  })
  const data = encodeFunctionData({
    abi: fiatTokenAbi,
    functionName: 'transferWithAuthorization',
    args: [payer.address, relayer.address, depositMicros, 0n, 2n ** 40n, nonce, signature],
  })
  return gasOf(await world.send(relayer, usdc, data))
}
