import { orienEscrowAbi } from '@orien/contracts'
import { type Address, type ContractErrorName, decodeErrorResult, type Hex } from 'viem'
import { ask, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'
import { CHAIN_LIMITS } from '../chain/limits.ts'
import type { ContractCall } from './contractCall.ts'

/** An error of the escrow, or what the escrow met. */
export type CallError =
  | ContractErrorName<typeof orienEscrowAbi>
  /** The token said no: blocklist, pause, balance, used or expired authorisation; `detail` has its words. */
  | 'TokenRefused'
  /** A revert that neither of them names, as of another contract. */
  | 'Unknown'

/** What would happen if the call were sent now. */
export type Simulation =
  /** It would succeed; `gas` is the limit to sign with: the estimate and a quarter. */
  | { status: 'ok'; gas: bigint }
  | { status: 'reverted'; error: CallError; detail: string }
  /** It would succeed but take more gas than a transaction may. */
  | { status: 'too_large'; gas: bigint }
  /** The node did not try it: it is overloaded, or `from` has too little native coin. Nothing is known of the call. */
  | { status: 'refused'; detail: string }
  | Unreachable

/**
 * Tries a call without sending it, as `from` and against the newest block. A call to an address without code
 * succeeds, as it would on the chain.
 */
export async function simulateCall(
  client: ChainClient,
  call: ContractCall,
  from: Address,
): Promise<Simulation> {
  const params = [{ from, to: call.to, data: call.data }] as const
  const answer = await ask(client.request({ method: 'eth_estimateGas', params: [...params] }))
  if (answer.status === 'unreachable') return answer
  if (answer.status === 'refused')
    return answer.isRevert
      ? { status: 'reverted', ...explainRevert(answer) }
      : { status: 'refused', detail: answer.message }
  const estimate = BigInt(answer.value)
  const limit = CHAIN_LIMITS.transactionGas
  if (estimate > limit) return { status: 'too_large', gas: estimate }
  const gas = estimate + (estimate * CHAIN_LIMITS.gasMarginPercent) / 100n
  return { status: 'ok', gas: gas < limit ? gas : limit }
}

/** Names the error behind revert data. */
export function explainRevert(refusal: { message: string; data: Hex | null }): {
  error: CallError
  detail: string
} {
  const { message, data } = refusal
  if (data === null || data === '0x') return { error: 'Unknown', detail: message }
  try {
    const { errorName, args } = decodeErrorResult({ abi: orienEscrowAbi, data })
    // Solidity's `require` text: the escrow has none, so it is the token's, passed on.
    if (String(errorName) === 'Error') return { error: 'TokenRefused', detail: String(args?.[0] ?? message) }
    return { error: errorName, detail: message }
  } catch {
    return { error: 'Unknown', detail: message }
  }
}
