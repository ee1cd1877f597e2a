import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainProfile } from '../chain/chains.ts'
import type { ChainClient } from '../chain/connect.ts'

/** Fees for a transaction that is signed now, in wei per unit of gas. */
export type Fees = { status: 'read'; maxFeePerGas: bigint; maxPriorityFeePerGas: bigint }

/**
 * Fees after the chain's policy. On a market, the base fee may double before the transaction is out-priced:
 * that takes at least six full blocks (https://eips.ethereum.org/EIPS/eip-1559).
 */
export async function readFees(client: ChainClient, { fees }: ChainProfile): Promise<Fees | Unreachable> {
  if (fees.kind === 'pinned') {
    const { maxFeePerGas, maxPriorityFeePerGas } = fees
    return { status: 'read', maxFeePerGas, maxPriorityFeePerGas }
  }
  const latest = await askValue(client.getBlock({ blockTag: 'latest' }))
  if (latest.status === 'unreachable') return latest
  const tip = await askValue(client.estimateMaxPriorityFeePerGas())
  if (tip.status === 'unreachable') return tip
  const baseFee = latest.value.baseFeePerGas ?? 0n
  return { status: 'read', maxFeePerGas: baseFee * 2n + tip.value, maxPriorityFeePerGas: tip.value }
}

/**
 * Fees for a replacement with the same nonce: the new ones, but at least an eighth above the old, because
 * pools refuse less than a tenth more.
 */
export function raiseFees(
  old: Pick<Fees, 'maxFeePerGas' | 'maxPriorityFeePerGas'>,
  now: Pick<Fees, 'maxFeePerGas' | 'maxPriorityFeePerGas'>,
): Pick<Fees, 'maxFeePerGas' | 'maxPriorityFeePerGas'> {
  const above = (wei: bigint) => wei + wei / 8n + 1n
  const larger = (a: bigint, b: bigint) => (a > b ? a : b)
  return {
    maxFeePerGas: larger(now.maxFeePerGas, above(old.maxFeePerGas)),
    maxPriorityFeePerGas: larger(now.maxPriorityFeePerGas, above(old.maxPriorityFeePerGas)),
  }
}
