import { z } from 'zod'
import type { PublishedTool } from './manifest.ts'
import { least, micros, type UsdcMicros, ZERO } from './money.ts'
import type { Receipt } from './receipt.ts'

/** What is refunded out of one provider's share of the reserve in one UTC day at most, micro-USDC. */
export const REFUND_DAILY_CAP_MICROS = 5_000_000n

/**
 * Why a cost is refunded: a completed run whose signed receipt lacks a file that its tool promises, or a claim above the
 * signed receipts. Both are read from what the provider itself signed; nobody's word is needed.
 */
export const refundCause = z.enum(['missing_output', 'overclaim'])
/** See {@link refundCause}. */
export type RefundCause = z.output<typeof refundCause>

const PATTERN = /[*?[\]{}]/

/**
 * The files that a tool promises by their exact names and that a receipt of it lacks. Patterns promise nothing: `*.png`
 * may be none. A run that failed says so itself and owes no file.
 *
 * @example missingOutputs({ outputs: ['image.png'] }, receipt) // ['image.png']
 */
export function missingOutputs(
  tool: Pick<PublishedTool, 'outputs'>,
  receipt: Pick<Receipt, 'status' | 'outputs'>,
): string[] {
  if (receipt.status !== 'completed') return []
  const written = new Set(receipt.outputs.map(({ name }) => name))
  return tool.outputs.filter((name) => !PATTERN.test(name) && !written.has(name))
}

/** What bounds a refund besides the loss. Micro-USDC. */
export type RefundBounds = {
  /** What this provider's own settlements have put into the reserve. */
  contributedMicros: bigint
  /** What was refunded out of that, ever and today. */
  refundedMicros: bigint
  refundedTodayMicros: bigint
}

/**
 * What a loss gets back: never more than what this very provider has put into the reserve and not yet taken out of it,
 * and no more than a day's cap. So whoever is agent and provider at once gets back less than it paid in fees.
 *
 * @example planRefund(micros(2_000n), { contributedMicros: 300n, refundedMicros: 0n, refundedTodayMicros: 0n }) // 300n
 */
export function planRefund(lostMicros: UsdcMicros, bounds: RefundBounds): UsdcMicros {
  const left = (bound: bigint, used: bigint) => (bound > used ? micros(bound - used) : ZERO)
  const ofProvider = left(bounds.contributedMicros, bounds.refundedMicros)
  return least(lostMicros, ofProvider, left(REFUND_DAILY_CAP_MICROS, bounds.refundedTodayMicros))
}
