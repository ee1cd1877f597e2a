import { orienEscrowAbi } from '@orien/contracts'
import type { ChannelTerms, DepositAuthorization } from '@orien/protocol'
import { type Address, encodeFunctionData, type Hex } from 'viem'
import type { ContractCall } from './contractCall.ts'

/**
 * Opens the payer's channel with its signed deposit. The nonce that the payer signed commits to the terms, so a
 * changed payee, salt or signer makes the call fail instead of opening another channel.
 */
export function encodeOpenWithAuthorization(
  terms: Omit<ChannelTerms, 'chainId'>,
  deposit: DepositAuthorization,
): ContractCall {
  const { escrow, payee, token, salt, authorizedSigner, payer } = terms
  const channel = [payee, token, deposit.valueMicros, salt, authorizedSigner, payer] as const
  const { validAfter, validBefore, nonce, signature } = deposit
  const args = [...channel, BigInt(validAfter), BigInt(validBefore), nonce, signature] as const
  return {
    to: escrow,
    data: encodeFunctionData({ abi: orienEscrowAbi, functionName: 'openWithAuthorization', args }),
  }
}

/** What a relayed top-up names besides the signed deposit. */
export type TopUp = { channelId: Hex; from: Address; topUpSalt: Hex }

/** Adds a signed deposit to a channel. Fails with `ClosePending` while a close is pending. */
export function encodeTopUpWithAuthorization(
  escrow: Address,
  { channelId, from, topUpSalt }: TopUp,
  deposit: DepositAuthorization,
): ContractCall {
  const { valueMicros, validAfter, validBefore, nonce, signature } = deposit
  const window = [BigInt(validAfter), BigInt(validBefore)] as const
  const args = [channelId, valueMicros, from, topUpSalt, ...window, nonce, signature] as const
  return {
    to: escrow,
    data: encodeFunctionData({ abi: orienEscrowAbi, functionName: 'topUpWithAuthorization', args }),
  }
}
