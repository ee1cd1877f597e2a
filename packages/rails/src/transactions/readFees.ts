import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainProfile } from '../chain/chains.ts'
import type { ChainClient } from '../chain/connect.ts'

/** Fees for a transaction that is signed now, in wei per unit of gas. */
export type Fees = { status: 'read' } & GasPrice

/** What a transaction offers at most, in wei per unit of gas. */
export type GasPrice = { maxFeePerGas: bigint; maxPriorityFeePerGas: bigint }

/** Fees after the chain's policy, and never above its cap. */
export async function readFees(
  client: ChainClient,
  { fees, feeCapWei }: Pick<ChainProfile, 'fees' | 'feeCapWei'>,
): Promise<Fees | Unreachable> {
  if (fees.kind === 'market') return readMarketFees(client, feeCapWei)
  const { maxFeePerGas, maxPriorityFeePerGas } = fees
  return { status: 'read', maxFeePerGas, maxPriorityFeePerGas }
}

/**
 * What the market asks: the base fee may double before the transaction is out-priced, which takes at least six full
 * blocks (https://eips.ethereum.org/EIPS/eip-1559).
 */
export async function readMarketFees(client: ChainClient, feeCapWei: bigint): Promise<Fees | Unreachable> {
  const latest = await askValue(client.getBlock({ blockTag: 'latest' }))
  if (latest.status === 'unreachable') return latest
  const tip = await askValue(client.estimateMaxPriorityFeePerGas())
  if (tip.status === 'unreachable') return tip
  const baseFee = latest.value.baseFeePerGas ?? 0n
  const maxFeePerGas = smaller(baseFee * 2n + tip.value, feeCapWei)
  return { status: 'read', maxFeePerGas, maxPriorityFeePerGas: smaller(tip.value, maxFeePerGas) }
}

/**
 * Fees for a replacement with the same nonce: the market's, but at least an eighth above the old, because pools refuse
 * less than a tenth more.
 *
 * @returns null when that is above the cap
 */
export function raiseFees(old: GasPrice, now: GasPrice, feeCapWei: bigint): GasPrice | null {
  const lowest = anEighthMore(old.maxFeePerGas)
  if (lowest > feeCapWei) return null
  const maxFeePerGas = smaller(larger(now.maxFeePerGas, lowest), feeCapWei)
  const tip = larger(now.maxPriorityFeePerGas, anEighthMore(old.maxPriorityFeePerGas))
  return { maxFeePerGas, maxPriorityFeePerGas: smaller(tip, maxFeePerGas) }
}

const anEighthMore = (wei: bigint) => wei + wei / 8n + 1n
const larger = (a: bigint, b: bigint) => (a > b ? a : b)
const smaller = (a: bigint, b: bigint) => (a < b ? a : b)
