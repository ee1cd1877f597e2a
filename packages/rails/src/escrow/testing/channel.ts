import { fiatTokenAbi } from '@orien/contracts'
import { invariant } from '@orien/protocol'
import {
  type Address,
  encodeAbiParameters,
  encodeFunctionData,
  type Hex,
  keccak256,
  type PrivateKeyAccount,
  parseAbiParameters,
} from 'viem'
import { randomWord } from '../../random.ts'
import { depositTypes, escrowDomain, signEscrow } from './typedData.ts'
import type { World } from './world.ts'

/** A channel under test and the keys of everyone in it. */
export type TestChannel = {
  id: Hex
  payer: PrivateKeyAccount
  payee: PrivateKeyAccount
  session: PrivateKeyAccount
  salt: Hex
  depositMicros: bigint
}

export const randomNonce = (): bigint => BigInt(randomWord())

/** Channel id by viem's ABI encoder. */
export function expectedChannelId(
  world: World,
  terms: { payer: Address; payee: Address; salt: Hex; authorizedSigner: Address; token?: Address },
): Hex {
  const { payer, payee, salt, authorizedSigner, token = world.chain.usdc } = terms
  const types = parseAbiParameters('address, address, address, bytes32, address, address, uint256')
  const values = [payer, payee, token, salt, authorizedSigner, world.chain.escrow, 31337n] as const
  return keccak256(encodeAbiParameters(types, values))
}

/** Opens a channel by the payer's own transaction. */
export async function openChannel(
  world: World,
  depositMicros = 1_000_000n,
  parties: Partial<Pick<TestChannel, 'payer' | 'payee' | 'session'>> = {},
): Promise<TestChannel> {
  const payer = parties.payer ?? (await world.actor())
  const payee = parties.payee ?? (await world.actor())
  const session = parties.session ?? (await world.actor())
  const salt = randomWord()
  await world.chain.mint(payer.address, depositMicros)
  await approve(world, payer, depositMicros)
  const { usdc } = world.chain
  const opened = await world.act(payer, 'open', [payee.address, usdc, depositMicros, salt, session.address])
  invariant(opened.status === 'ok', 'a channel opens')
  const authorizedSigner = session.address
  const id = expectedChannelId(world, { payer: payer.address, payee: payee.address, salt, authorizedSigner })
  return { id, payer, payee, session, salt, depositMicros }
}

/** Lets the escrow take micro-USDC of an account. */
export async function approve(world: World, owner: PrivateKeyAccount, micros: bigint): Promise<void> {
  const args = [world.chain.escrow, micros] as const
  const data = encodeFunctionData({ abi: fiatTokenAbi, functionName: 'approve', args })
  const approved = await world.send(owner, world.chain.usdc, data)
  invariant(approved.status === 'ok', 'an approval succeeds')
}

/** A voucher, by default of the channel's session key. */
export function signVoucher(
  world: World,
  channel: TestChannel,
  cumulativeAmount: bigint,
  key: PrivateKeyAccount = channel.session,
): Promise<Hex> {
  const message = { channelId: channel.id, cumulativeAmount }
  return signEscrow(key, escrowDomain(world.chain.escrow), 'Voucher', message)
}

/** A claim of the payee's or an operator's. */
export async function signClaim(
  world: World,
  kind: 'Claim' | 'ClaimAndClose',
  key: PrivateKeyAccount,
  terms: { channelId: Hex; claimAmount: bigint; nonce: bigint; deadline: bigint },
): Promise<Hex> {
  return signEscrow(key, escrowDomain(world.chain.escrow), kind, terms)
}

/** An EIP-3009 authorisation for the escrow, good for ten minutes of chain time. */
export async function signDeposit(
  world: World,
  signer: PrivateKeyAccount,
  micros: bigint,
  nonce: Hex,
  from: Address = signer.address,
) {
  const { usdc, usdcDomain, escrow } = world.chain
  const validAfter = 0n
  const validBefore = BigInt((await world.now()) + 600)
  const domain = { ...usdcDomain, chainId: 31337, verifyingContract: usdc }
  const message = { from, to: escrow, value: micros, validAfter, validBefore, nonce }
  const primaryType = 'ReceiveWithAuthorization'
  const signature = await signer.signTypedData({ domain, types: depositTypes, primaryType, message })
  return { validAfter, validBefore, nonce, signature }
}

/** The nonce that the draft derives for an opening deposit, by viem's ABI encoder. */
export function openingNonce(
  from: Address,
  payee: Address,
  token: Address,
  salt: Hex,
  authorizedSigner: Address,
): Hex {
  const types = parseAbiParameters('address, address, address, bytes32, address')
  return keccak256(encodeAbiParameters(types, [from, payee, token, salt, authorizedSigner]))
}

/** The nonce that the draft derives for a top-up. */
export function toppingUpNonce(channelId: Hex, micros: bigint, from: Address, topUpSalt: Hex): Hex {
  const types = parseAbiParameters('bytes32, uint128, address, bytes32')
  return keccak256(encodeAbiParameters(types, [channelId, micros, from, topUpSalt]))
}
