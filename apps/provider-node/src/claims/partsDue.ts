import { add, CLAIM_STEP_MICROS, partialClaim, subtract, type UsdcMicros, ZERO } from '@orien/protocol'
import { hasGasPrice, partsWorthClaiming } from './worthClaiming.ts'

/** Why a node claims a part of what it has earned. */
export type PartReason = 'threshold' | 'interval'

/** What could be claimed of a channel that goes on. */
type Part = { earnedMicros: UsdcMicros; settledMicros: UsdcMicros }

/** When parts are claimed. */
export type PartRules = {
  /** Of the chain, and the most that is offered, in wei. */
  gas: { chainId: number; maxFeePerGas: bigint }
  /** What the owner lets stand unclaimed; the default's where the owner has said nothing. */
  threshold: { micros: UsdcMicros; isChosen: boolean }
  /** For how long something was unclaimed. */
  waitedMs: number
  claimEveryMs: number
}

/** Of an amount what a part of a channel pays: shares are whole only for whole steps. */
export const payableOf = ({ earnedMicros, settledMicros }: Part): UsdcMicros =>
  earnedMicros < settledMicros + CLAIM_STEP_MICROS
    ? ZERO
    : subtract(partialClaim(earnedMicros), settledMicros)

/**
 * The parts that a provider should claim now, so that whoever steals its operator key, or a coordinator that lies, can
 * never cost it more than what stands unclaimed. Where gas cannot be compared with earnings only the owner knows from
 * which amount on a claim is worth it.
 */
export function partsDue<T extends Part>(
  parts: readonly T[],
  { gas, threshold, waitedMs, claimEveryMs }: PartRules,
): { reason: PartReason; parts: T[] } | null {
  const isComparable = hasGasPrice(gas.chainId)
  if (!isComparable && !threshold.isChosen) return null
  const worth = partsWorthClaiming(
    parts.filter((part) => payableOf(part) > ZERO),
    gas,
  )
  if (worth.length === 0) return null
  if (add(ZERO, ...worth.map(payableOf)) >= threshold.micros) return { reason: 'threshold', parts: worth }
  return isComparable && waitedMs >= claimEveryMs ? { reason: 'interval', parts: worth } : null
}
