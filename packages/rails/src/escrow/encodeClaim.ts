import { orienEscrowAbi } from '@orien/contracts'
import type { ClaimTerms, Voucher } from '@orien/protocol'
import { type Address, encodeFunctionData, type Hex } from 'viem'
import type { ContractCall } from './contractCall.ts'

/** A claim that the payee or its operator signed, with the voucher that covers it. */
export type SignedClaim = { claim: ClaimTerms; claimSignature: Hex; voucher: Voucher }

/** Pays a part of what a voucher allows; the amount counts in whole steps of 100 micro-USDC. */
export function encodeClaimWithAuthorization(escrow: Address, signed: SignedClaim): ContractCall {
  return {
    to: escrow,
    data: encodeFunctionData({
      abi: orienEscrowAbi,
      functionName: 'claimWithAuthorization',
      args: claimArguments(signed),
    }),
  }
}

/** Pays the last claim, refunds the rest to the payer and ends the channel. */
export function encodeClaimAndCloseWithAuthorization(escrow: Address, signed: SignedClaim): ContractCall {
  return {
    to: escrow,
    data: encodeFunctionData({
      abi: orienEscrowAbi,
      functionName: 'claimAndCloseWithAuthorization',
      args: claimArguments(signed),
    }),
  }
}

/**
 * Ends a channel of which nothing more is claimed; no voucher is needed.
 *
 * @param claim with a `claimMicros` not above what is settled, such as 0
 */
export function encodeForfeitWithAuthorization(
  escrow: Address,
  { claim, claimSignature }: Omit<SignedClaim, 'voucher'>,
): ContractCall {
  const { channelId, claimMicros, nonce, deadline } = claim
  const args = [channelId, claimMicros, 0n, '0x', nonce, BigInt(deadline), claimSignature] as const
  return {
    to: escrow,
    data: encodeFunctionData({ abi: orienEscrowAbi, functionName: 'claimAndCloseWithAuthorization', args }),
  }
}

function claimArguments({ claim, claimSignature, voucher }: SignedClaim) {
  const { channelId, claimMicros, nonce, deadline } = claim
  const covered = [channelId, claimMicros, voucher.cumulativeMicros, voucher.signature] as const
  return [...covered, nonce, BigInt(deadline), claimSignature] as const
}
