import { orienEscrowAbi } from '@orien/contracts'
import type { OperatorTerms } from '@orien/protocol'
import { type Address, encodeFunctionData, type Hex } from 'viem'
import type { ContractCall } from './contractCall.ts'

/** Allows or revokes an operator by the owner's signature. */
export function encodeSetOperatorWithAuthorization(
  escrow: Address,
  { owner, operator, allowed, nonce, deadline }: OperatorTerms,
  signature: Hex,
): ContractCall {
  const args = [owner, operator, allowed, nonce, BigInt(deadline), signature] as const
  return {
    to: escrow,
    data: encodeFunctionData({ abi: orienEscrowAbi, functionName: 'setOperatorWithAuthorization', args }),
  }
}
