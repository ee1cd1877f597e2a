import { orienEscrowAbi } from '@orien/contracts'
import type { Address } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'

/** Reads whether a key may claim and close for an owner. */
export async function readOperator(
  client: ChainClient,
  escrow: Address,
  owner: Address,
  operator: Address,
): Promise<{ status: 'allowed' } | { status: 'not_allowed' } | Unreachable> {
  const call = { address: escrow, abi: orienEscrowAbi, functionName: 'isOperator' } as const
  const answer = await askValue(client.readContract({ ...call, args: [owner, operator] }))
  if (answer.status === 'unreachable') return answer
  return { status: answer.value ? 'allowed' : 'not_allowed' }
}
