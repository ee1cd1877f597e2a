import { fiatTokenAbi, orienEscrowAbi } from '@orien/contracts'
import type { Address } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'

/** An amount of a token at the newest block. */
export type AmountReading = { status: 'read'; micros: bigint } | Unreachable

/** Reads how much of a token an account holds. */
export async function readBalance(
  client: ChainClient,
  token: Address,
  account: Address,
): Promise<AmountReading> {
  const call = { address: token, abi: fiatTokenAbi, functionName: 'balanceOf', args: [account] } as const
  const answer = await askValue(client.readContract(call))
  return answer.status === 'unreachable' ? answer : { status: 'read', micros: answer.value }
}

/** Reads what failed payments have left in the escrow for an account. */
export async function readCredit(
  client: ChainClient,
  escrow: Address,
  account: Address,
): Promise<AmountReading> {
  const call = {
    address: escrow,
    abi: orienEscrowAbi,
    functionName: 'credits',
    args: [account],
  } as const
  const answer = await askValue(client.readContract(call))
  return answer.status === 'unreachable' ? answer : { status: 'read', micros: answer.value }
}
