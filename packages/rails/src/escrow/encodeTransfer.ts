import { type DepositAuthorization, fromHex } from '@orien/protocol'
import { type Address, encodeFunctionData, type Hex, parseAbi, slice } from 'viem'
import type { ContractCall } from './contractCall.ts'

// https://eips.ethereum.org/EIPS/eip-3009
const abi = parseAbi([
  'function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
])

/** Moves tokens as their holder has signed for; whoever sends it, they arrive once and where the signature says. */
export function encodeTransferWithAuthorization(
  token: Address,
  { from, to }: { from: Address; to: Address },
  { valueMicros, validAfter, validBefore, nonce, signature }: DepositAuthorization,
): ContractCall {
  const [r, s]: [Hex, Hex] = [slice(signature, 0, 32), slice(signature, 32, 64)]
  const window = [BigInt(validAfter), BigInt(validBefore)] as const
  const args = [from, to, valueMicros, ...window, nonce, fromHex(signature)[64] ?? 0, r, s] as const
  return { to: token, data: encodeFunctionData({ abi, functionName: 'transferWithAuthorization', args }) }
}
