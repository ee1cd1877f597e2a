import { z } from 'zod'

declare const durationBrand: unique symbol

/** A duration in whole milliseconds. */
export type DurationMs = number & { readonly [durationBrand]: 'DurationMs' }

/** The longest duration the system handles: 24 hours. */
export const MAX_DURATION_MS = 86_400_000

/** Brands a number of milliseconds; the caller has made sure that it is a whole number ≥ 0. */
export function durationMs(value: number): DurationMs {
  return value as DurationMs
}

/** A duration on the wire: integer milliseconds, 0 to 24 h. */
export const durationMsSchema = z.int().min(0).max(MAX_DURATION_MS) as unknown as z.ZodType<
  DurationMs,
  number
>

/** An instant on the wire: RFC 3339 in UTC with millisecond precision or less, https://www.rfc-editor.org/rfc/rfc3339. */
export const instant = z.iso.datetime({ offset: false }).meta({ examples: ['2026-11-23T04:00:00.000Z'] })
