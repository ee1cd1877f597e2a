import { gasToUsdc, gasWei, splitCumulative, subtract, type UsdcMicros } from '@orien/protocol'
import { NODE_LIMITS } from '../limits.ts'
import type { ClaimReason } from './claimDue.ts'

/** Chains whose coin is USDC, so that a node can compare gas with earnings: Arc and its test network. */
const USDC_COIN_CHAINS: ReadonlySet<number> = new Set([5_042, 5_042_002])

/** What a channel would pay. */
type Payable = { earnedMicros: UsdcMicros; settledMicros: UsdcMicros }
/** The same, and why it has to be claimed. */
type Claimable = Payable & { reason: ClaimReason }

/** How many times its gas a claim has to bring that could be made later, with more: it costs a twentieth at most. */
const PART_WORTH = 20n

/** Whether gas and earnings can be compared on a chain; on the development chain gas is worth nothing. */
export const hasGasPrice = (chainId: number): boolean => USDC_COIN_CHAINS.has(chainId) || chainId === 31_337

/**
 * Of what is due those claims that pay for their gas. Where the payer is closing the channel, what is not claimed is
 * lost, and is claimed whatever it costs: else an agent could leave without paying as long as it owes little.
 *
 * @param maxFeePerGas in wei, the most that is offered
 */
export function worthClaiming<T extends Claimable>(
  due: readonly T[],
  { chainId, maxFeePerGas }: { chainId: number; maxFeePerGas: bigint },
): T[] {
  if (!USDC_COIN_CHAINS.has(chainId)) return [...due]
  const priceOf = (gas: bigint) => gasToUsdc(gasWei(gas * maxFeePerGas))
  const lost = due.filter(({ reason }) => reason === 'close_requested')
  const paying = due.filter(
    (claim) => claim.reason !== 'close_requested' && shareOf(claim) >= priceOf(NODE_LIMITS.claimUsualGas),
  )
  const shares = paying.reduce((sum, claim) => sum + shareOf(claim), 0n)
  const gas = NODE_LIMITS.claimUsualBatchGas + NODE_LIMITS.claimUsualGas * BigInt(paying.length)
  if (lost.length === 0 && shares < priceOf(gas)) return []
  return due.filter((claim) => lost.includes(claim) || paying.includes(claim))
}

/** Of parts that could be claimed now those that bring many times their gas. @param maxFeePerGas in wei */
export function partsWorthClaiming<T extends Payable>(
  parts: readonly T[],
  { chainId, maxFeePerGas }: { chainId: number; maxFeePerGas: bigint },
): T[] {
  if (!USDC_COIN_CHAINS.has(chainId)) return [...parts]
  const priceOf = (gas: bigint) => gasToUsdc(gasWei(gas * maxFeePerGas * PART_WORTH))
  const paying = parts.filter((part) => shareOf(part) >= priceOf(NODE_LIMITS.claimUsualGas))
  const gas = NODE_LIMITS.claimUsualBatchGas + NODE_LIMITS.claimUsualGas * BigInt(paying.length)
  return paying.reduce((sum, part) => sum + shareOf(part), 0n) >= priceOf(gas) ? paying : []
}

const shareOf = ({ earnedMicros, settledMicros }: Payable): UsdcMicros =>
  subtract(splitCumulative(earnedMicros).providerMicros, splitCumulative(settledMicros).providerMicros)
