import type { Hex } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'

/** What a chain knows of a transaction. */
export type TransactionState =
  /** Never heard of it, dropped it, or, as some nodes do, does not show its pool. Says nothing of the future. */
  | { status: 'unknown' }
  /** In the pool. */
  | { status: 'pending' }
  /** In a block, which may still be reorganised away: keep its hash and compare. */
  | {
      status: 'mined'
      outcome: 'succeeded' | 'reverted'
      blockNumber: bigint
      blockHash: Hex
      gasUsed: bigint
      /** Wei. */
      effectiveGasPrice: bigint
    }

/** Reads what has become of a transaction. */
export async function readTransaction(
  client: ChainClient,
  hash: Hex,
): Promise<TransactionState | Unreachable> {
  const receipt = await askValue(client.request({ method: 'eth_getTransactionReceipt', params: [hash] }))
  if (receipt.status === 'unreachable') return receipt
  if (receipt.value !== null) {
    return {
      status: 'mined',
      outcome: receipt.value.status === '0x1' ? 'succeeded' : 'reverted',
      blockNumber: BigInt(receipt.value.blockNumber),
      blockHash: receipt.value.blockHash,
      gasUsed: BigInt(receipt.value.gasUsed),
      effectiveGasPrice: BigInt(receipt.value.effectiveGasPrice),
    }
  }
  const found = await askValue(client.request({ method: 'eth_getTransactionByHash', params: [hash] }))
  if (found.status === 'unreachable') return found
  // Mined between the two questions counts as pending; the next look will have its receipt.
  return { status: found.value === null ? 'unknown' : 'pending' }
}
