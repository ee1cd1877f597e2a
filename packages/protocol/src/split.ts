import { micros, type UsdcMicros } from './money.ts'

/** Basis points of every payout. */
export const SPLIT = { providerBps: 9_000n, platformBps: 700n, reserveBps: 300n } as const

/** A partial claim is a multiple of this, so that each share is exact: the three parts are whole tenths of thousandths. */
export const CLAIM_STEP_MICROS = 100n

/** The three shares of a cumulative amount. */
export type Shares = { providerMicros: UsdcMicros; platformMicros: UsdcMicros; reserveMicros: UsdcMicros }

/**
 * Splits a cumulative amount: provider and platform floored, the remainder (at most 1 micro-USDC more) to the reserve.
 * Provider + platform + reserve = amount, always.
 *
 * @example
 * splitCumulative(micros(100n)) // { providerMicros: 90n, platformMicros: 7n, reserveMicros: 3n }
 */
export function splitCumulative(cumulativeMicros: UsdcMicros): Shares {
  const providerMicros = (cumulativeMicros * SPLIT.providerBps) / 10_000n
  const platformMicros = (cumulativeMicros * SPLIT.platformBps) / 10_000n
  return {
    providerMicros: micros(providerMicros),
    platformMicros: micros(platformMicros),
    reserveMicros: micros(cumulativeMicros - providerMicros - platformMicros),
  }
}

/** The largest partial claim within an amount: floored to {@link CLAIM_STEP_MICROS}. */
export function partialClaim(cumulativeMicros: UsdcMicros): UsdcMicros {
  return micros(cumulativeMicros - (cumulativeMicros % CLAIM_STEP_MICROS))
}

/**
 * What one claim pays out: the difference of two cumulative splits. Exact and never negative when `previous`
 * came from {@link partialClaim}.
 */
export function splitDelta(previousMicros: UsdcMicros, cumulativeMicros: UsdcMicros): Shares {
  const before = splitCumulative(previousMicros)
  const after = splitCumulative(cumulativeMicros)
  return {
    providerMicros: micros(after.providerMicros - before.providerMicros),
    platformMicros: micros(after.platformMicros - before.platformMicros),
    reserveMicros: micros(after.reserveMicros - before.reserveMicros),
  }
}
