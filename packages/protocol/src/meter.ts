import { invariant } from './invariant.ts'
import { LIMITS } from './limits.ts'
import { least, MAX_MICROS, micros, type UsdcMicros, usdcMicros } from './money.ts'
import { type DurationMs, durationMs, MAX_DURATION_MS } from './time.ts'

/** A price: micro-USDC per effective minute. */
export type RateMicrosPerMinute = UsdcMicros

/** A price on the wire: above zero, and low enough that a day of it is still an amount. */
export const rateMicrosPerMinute = usdcMicros.refine(
  (rate) => rate > 0n && rate <= LIMITS.maximumRateMicros,
  `must be above zero and at most ${LIMITS.maximumRateMicros}`,
)

const MINUTE_MS = 60_000n

/**
 * What a tree of processes moved by read and write calls, in bytes, whatever lay behind the descriptor: `rchar` and
 * `wchar` of proc(5). What was mapped, sent or received is not in it.
 */
export type MovedBytes = { readBytes: number; writtenBytes: number }

/**
 * The {@link MovedBytes} of a record that may have none.
 *
 * @example
 * movedBytes({ readBytes: null, writtenBytes: null }) // {}
 */
export function movedBytes({
  readBytes,
  writtenBytes,
}: {
  readBytes?: number | null | undefined
  writtenBytes?: number | null | undefined
}): Partial<MovedBytes> {
  return { ...(readBytes == null ? {} : { readBytes }), ...(writtenBytes == null ? {} : { writtenBytes }) }
}

/**
 * What a run is billed for: its effective time rounded up to a millisecond, at least one, never beyond its deadline.
 *
 * @param effectiveMicros exec of the tool to the death of its last process, in microseconds
 * @example
 * billedMs(1_500, durationMs(10_000)) // 2
 */
export function billedMs(effectiveMicros: number, deadlineMs: DurationMs): DurationMs {
  invariant(
    Number.isSafeInteger(effectiveMicros) && effectiveMicros >= 0,
    'effective time is whole microseconds',
  )
  return durationMs(Math.min(Math.max(1, Math.ceil(effectiveMicros / 1_000)), deadlineMs))
}

/** The formula on bare integers, for figures that came from outside and may exceed what an amount can be. */
export function exactCost(rate: bigint, ms: number): bigint {
  return (rate * BigInt(ms) + MINUTE_MS - 1n) / MINUTE_MS
}

/**
 * What a duration costs: `ceil(rate × ms / 60,000)`.
 *
 * @example
 * costMicros(micros(600_000n), durationMs(1_500)) // 15000n
 */
export function costMicros(rate: RateMicrosPerMinute, ms: DurationMs): UsdcMicros {
  return micros(exactCost(rate, ms))
}

/**
 * How long a hold lasts: `floor(hold × 60,000 / rate)`, so that `costMicros(rate, deadlineMs(hold, rate)) ≤ hold`.
 *
 * @param rate above zero
 */
export function deadlineMs(holdMicros: UsdcMicros, rate: RateMicrosPerMinute): DurationMs {
  invariant(rate > 0n, 'a rate is above zero')
  const ms = (holdMicros * MINUTE_MS) / rate
  return durationMs(ms > BigInt(MAX_DURATION_MS) ? MAX_DURATION_MS : Number(ms))
}

/** A sized grant, or the reason why there is none. */
export type Grant =
  | { ok: true; holdMicros: UsdcMicros; deadlineMs: DurationMs }
  | { ok: false; reason: 'budget_exhausted' }

/**
 * Sizes the hold of one run: `min(ceil(rate × limit), maxCost, unheld)`, and the deadline that follows from it.
 *
 * @param unheldMicros budget − spent − held
 * @returns `budget_exhausted` when what is left buys less than {@link LIMITS.minimumGrantMs}
 */
export function sizeGrant(input: {
  rate: RateMicrosPerMinute
  limitMs: DurationMs
  maxCostMicros?: UsdcMicros | undefined
  unheldMicros: UsdcMicros
}): Grant {
  const holdMicros = least(
    costMicros(input.rate, input.limitMs),
    input.maxCostMicros ?? (MAX_MICROS as UsdcMicros),
    input.unheldMicros,
  )
  const deadline = durationMs(Math.min(deadlineMs(holdMicros, input.rate), input.limitMs))
  if (deadline < Math.min(LIMITS.minimumGrantMs, input.limitMs))
    return { ok: false, reason: 'budget_exhausted' }
  return { ok: true, holdMicros, deadlineMs: deadline }
}

/**
 * Whether a node's time can be true, seen from the coordinator's own clock: tolerance 250 ms + 1 %.
 *
 * @param observedMs from sending the work to receiving the receipt
 */
export function isPlausible(effectiveMs: DurationMs, observedMs: number): boolean {
  const tolerance = LIMITS.toleranceMs + (observedMs * LIMITS.tolerancePerMille) / 1_000
  return effectiveMs <= observedMs + tolerance
}
