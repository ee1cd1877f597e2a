import { z } from 'zod'
import type { Amount } from './amount.ts'
import { OrienError } from './errors.ts'
import { invariant } from './invariant.ts'

/** An amount of USDC in micro-USDC (1 USDC = 1,000,000). Always an integer; never a `number`. */
export type UsdcMicros = Amount<'UsdcMicros'>

/** One USDC. */
export const ONE_USDC = 1_000_000n

/** The largest amount a column (int8) holds: 2^63 − 1 micro-USDC. */
export const MAX_MICROS = (1n << 63n) - 1n

/** Nothing. */
export const ZERO = 0n as UsdcMicros

/**
 * Brands an integer as an amount.
 *
 * @throws InvariantViolation below zero or above {@link MAX_MICROS}
 * @example
 * micros(1_500_000n) // 1.5 USDC
 */
export function micros(value: bigint): UsdcMicros {
  invariant(value >= 0n && value <= MAX_MICROS, `amount out of range: ${value}`)
  return value as UsdcMicros
}

/**
 * Reads a person's decimal amount of USDC.
 *
 * @param text digits with at most six decimals, e.g. `"0.25"`; no sign, exponent or separators
 * @throws OrienError `validation_failed` for anything else: a seventh decimal is an error, never rounded
 * @example
 * parseUsdc('0.25') // 250000n
 */
export function parseUsdc(text: string): UsdcMicros {
  const match = /^(0|[1-9]\d{0,12})(?:\.(\d{1,6}))?$/.exec(text)
  const [, whole, fraction = ''] = match ?? []
  const amount = whole === undefined ? null : BigInt(whole) * ONE_USDC + BigInt(fraction.padEnd(6, '0'))
  if (amount === null || amount > MAX_MICROS) {
    throw new OrienError(
      'validation_failed',
      `"${text.slice(0, 40)}" is not an amount of USDC with at most six decimals`,
    )
  }
  return micros(amount)
}

/**
 * Shows an amount to a person: exact, at least two decimals.
 *
 * @example
 * formatUsdc(micros(250_000n)) // "0.25"
 */
export function formatUsdc(amount: UsdcMicros): string {
  const fraction = (amount % ONE_USDC)
    .toString()
    .padStart(6, '0')
    .replace(/0{1,4}$/, '')
  return `${amount / ONE_USDC}.${fraction}`
}

/** Addition that stays an amount. */
export function add(...amounts: readonly UsdcMicros[]): UsdcMicros {
  return micros(amounts.reduce<bigint>((sum, amount) => sum + amount, 0n))
}

/**
 * Subtraction that stays an amount.
 *
 * @throws InvariantViolation when the result would be negative
 */
export function subtract(from: UsdcMicros, amount: UsdcMicros): UsdcMicros {
  return micros(from - amount)
}

/** The smallest of some amounts. */
export function least(first: UsdcMicros, ...rest: readonly UsdcMicros[]): UsdcMicros {
  let smallest = first
  for (const amount of rest) {
    if (amount < smallest) smallest = amount
  }
  return smallest
}

/**
 * An amount on the wire: a decimal string of micro-USDC, decoded to {@link UsdcMicros}.
 * The one place where the API's amounts are checked.
 */
export const usdcMicros = z.codec(
  z
    .string()
    // Without abort the next check would read as a number what is none.
    .regex(/^(0|[1-9]\d{0,18})$/, { error: 'must be a decimal string of micro-USDC', abort: true })
    .refine((text) => text.length < 19 || BigInt(text) <= MAX_MICROS, 'must be at most 9223372036854775807')
    .meta({ description: 'micro-USDC as a decimal string (1 USDC = "1000000")', examples: ['250000'] }),
  z.custom<UsdcMicros>((value) => typeof value === 'bigint'),
  { decode: (text) => BigInt(text) as UsdcMicros, encode: (amount) => amount.toString() },
)
