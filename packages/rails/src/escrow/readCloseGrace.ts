import { orienEscrowAbi } from '@orien/contracts'
import type { Address } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'

/** Reads how long a requested close waits until anyone may send the refund. */
export async function readCloseGrace(
  client: ChainClient,
  escrow: Address,
): Promise<{ status: 'read'; seconds: bigint } | Unreachable> {
  const call = { address: escrow, abi: orienEscrowAbi, functionName: 'CLOSE_GRACE_PERIOD' } as const
  const answer = await askValue(client.readContract(call))
  return answer.status === 'unreachable' ? answer : { status: 'read', seconds: BigInt(answer.value) }
}
