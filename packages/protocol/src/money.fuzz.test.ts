import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { add, formatUsdc, MAX_MICROS, micros, parseUsdc, subtract, usdcMicros } from './money.ts'

const amount = fc.bigInt({ min: 0n, max: MAX_MICROS }).map(micros)
const half = fc.bigInt({ min: 0n, max: MAX_MICROS / 2n }).map(micros)
/** What no JS number can hold any more. */
const large = fc.bigInt({ min: 1n << 53n, max: MAX_MICROS }).map(micros)

describe('amounts of any size, beyond 2^53 too', () => {
  it('come back from text as they were', () => {
    fc.assert(fc.property(fc.oneof(amount, large), (value) => parseUsdc(formatUsdc(value)) === value))
  })

  it('come back from the wire as they were', () => {
    fc.assert(
      fc.property(
        fc.oneof(amount, large),
        (value) => usdcMicros.decode(z.encode(usdcMicros, value)) === value,
      ),
    )
  })

  it('that differ by one are different everywhere', () => {
    fc.assert(
      fc.property(large, (value) => {
        fc.pre(value < MAX_MICROS)
        const next = add(value, micros(1n))
        expect(formatUsdc(next)).not.toBe(formatUsdc(value))
        expect(z.encode(usdcMicros, next)).not.toBe(z.encode(usdcMicros, value))
      }),
    )
  })

  it('added and taken away again are what they were', () => {
    fc.assert(fc.property(half, half, (a, b) => subtract(add(a, b), b) === a))
  })
})

describe('any text', () => {
  it('as a person’s amount is exact or refused with its code', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789.-+e,_ x'.split('')), maxLength: 24 })
    fc.assert(
      fc.property(fc.oneof(fc.string(), digits), (text) => {
        try {
          const value = parseUsdc(text)
          // The one reading: put back with all six decimals it is the same number.
          const [whole = '', fraction = ''] = text.split('.')
          expect(value).toBe(BigInt(whole + fraction.padEnd(6, '0')))
        } catch (error) {
          expect(error).toMatchObject({ code: 'validation_failed' })
        }
      }),
    )
  })

  it('as an amount on the wire is decoded or refused, never thrown on', () => {
    const anything = fc.oneof(
      fc.anything({ maxDepth: 1 }),
      fc.string({ unit: 'binary' }),
      fc.bigInt().map(String),
    )
    fc.assert(
      fc.property(anything, (value) => {
        const result = usdcMicros.safeDecode(value as string)
        if (result.success) expect(z.encode(usdcMicros, result.data)).toBe(value)
      }),
    )
  })
})
