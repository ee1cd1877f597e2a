import { orienEscrowAbi } from '@orien/contracts'
import { type Address, encodeFunctionData, type Hex } from 'viem'
import type { ContractCall } from './contractCall.ts'

/** A close request that the payer or its authorized signer signed; `deadline` in Unix seconds. */
export type SignedCloseRequest = { channelId: Hex; nonce: bigint; deadline: number; signature: Hex }

/** Starts the grace period after which the payer gets back what is unsettled. */
export function encodeRequestCloseWithAuthorization(
  escrow: Address,
  { channelId, nonce, deadline, signature }: SignedCloseRequest,
): ContractCall {
  const args = [channelId, nonce, BigInt(deadline), signature] as const
  return {
    to: escrow,
    data: encodeFunctionData({ abi: orienEscrowAbi, functionName: 'requestCloseWithAuthorization', args }),
  }
}

/** Refunds the payer after the grace period; anyone may send it. */
export function encodeWithdraw(escrow: Address, channelId: Hex): ContractCall {
  return {
    to: escrow,
    data: encodeFunctionData({ abi: orienEscrowAbi, functionName: 'withdraw', args: [channelId] }),
  }
}

/** Sends an account the credit that a failed payment left for it; anyone may send it. */
export function encodeDeliverCredit(escrow: Address, account: Address): ContractCall {
  return {
    to: escrow,
    data: encodeFunctionData({ abi: orienEscrowAbi, functionName: 'deliverCredit', args: [account] }),
  }
}
