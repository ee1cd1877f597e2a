import type { Amount } from './amount.ts'
import { invariant } from './invariant.ts'
import { micros, type UsdcMicros } from './money.ts'

/**
 * An amount of a chain's native coin, in its smallest unit: what gas is paid with. On Arc that coin is USDC itself, in
 * which one USDC is 10^18 here and 10^6 as {@link UsdcMicros}; the two meet in this file and nowhere else.
 */
export type GasWei = Amount<'GasWei'>

/** How many native units are one micro-USDC where gas is USDC: 18 decimals against 6. */
const WEI_PER_MICRO = 1_000_000_000_000n

/**
 * Brands an integer as an amount of native coin.
 *
 * @throws InvariantViolation below zero
 * @example
 * gasWei(21_000n * 20_000_000_000n) // a plain transfer at 20 gwei
 */
export function gasWei(value: bigint): GasWei {
  invariant(value >= 0n, `amount out of range: ${value}`)
  return value as GasWei
}

/**
 * The ERC-20 view of a native balance, on a chain whose native coin is USDC: rounded down, as that view is.
 * Source: https://docs.arc.io/arc/concepts/stablecoin-native-model
 *
 * @example
 * gasToUsdc(gasWei(1_000_000_000_000_000_000n)) // 1000000n, one USDC
 */
export function gasToUsdc(wei: GasWei): UsdcMicros {
  return micros(wei / WEI_PER_MICRO)
}

/**
 * What an amount of USDC is as native coin, on a chain whose native coin is USDC: exact.
 *
 * @example
 * usdcToGas(micros(1_000_000n)) // 1000000000000000000n
 */
export function usdcToGas(amount: UsdcMicros): GasWei {
  return gasWei(amount * WEI_PER_MICRO)
}

/**
 * Shows an amount of native coin to a person: exact, without the zeros at its end.
 *
 * @param decimals of the chain's native coin
 * @example
 * formatGas(gasWei(1_500_000_000_000_000_000n), 18) // "1.5"
 */
export function formatGas(wei: GasWei, decimals: number): string {
  const digits = wei.toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '')
  return fraction === '' ? whole : `${whole}.${fraction}`
}
