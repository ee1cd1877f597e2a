import { fiatTokenAbi } from '@orien/contracts'
import type { Address, Hex } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'

/** Reads whether a holder's signed transfer (EIP-3009) was carried out, or cancelled by the holder. */
export async function readTransfer(
  client: ChainClient,
  token: Address,
  holder: Address,
  nonce: Hex,
): Promise<{ status: 'used' } | { status: 'unused' } | Unreachable> {
  const call = { address: token, abi: fiatTokenAbi, functionName: 'authorizationState' } as const
  const answer = await askValue(client.readContract({ ...call, args: [holder, nonce] }))
  if (answer.status === 'unreachable') return answer
  return { status: answer.value ? 'used' : 'unused' }
}
