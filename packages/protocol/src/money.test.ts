import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { InvariantViolation } from './invariant.ts'
import { add, formatUsdc, least, MAX_MICROS, micros, parseUsdc, subtract, usdcMicros, ZERO } from './money.ts'

describe('an amount that a person writes', () => {
  it.each([
    ['0', 0n],
    ['1', 1_000_000n],
    ['0.25', 250_000n],
    ['0.000001', 1n],
    ['12.340000', 12_340_000n],
    ['9223372036854.775807', MAX_MICROS],
  ])('%s is read exactly', (text, expected) => {
    expect(parseUsdc(text)).toBe(expected)
  })

  it.each([
    ['a seventh decimal', '0.0000001'],
    ['a seventh decimal of zero', '0.1000000'],
    ['a sign', '-1'],
    ['a plus', '+1'],
    ['an exponent', '1e6'],
    ['hex', '0x10'],
    ['a separator', '1,000'],
    ['a space', ' 1'],
    ['a newline', '1\n'],
    ['a leading zero', '01'],
    ['a bare point', '.5'],
    ['an open point', '5.'],
    ['two points', '1.2.3'],
    ['nothing', ''],
    ['other digits', '١'],
    ['a word', 'NaN'],
    ['more than a column holds', '9223372036854.775808'],
    ['thirteen nines', '9999999999999'],
  ])('is refused with %s, never rounded', (_, text) => {
    expect(() => parseUsdc(text)).toThrow(expect.objectContaining({ code: 'validation_failed' }))
  })

  it('is not repeated in full when it is refused', () => {
    expect(() => parseUsdc('9'.repeat(1_000))).toThrow(/^.{0,120}$/)
  })
})

describe('an amount that is shown', () => {
  it.each([
    [0n, '0.00'],
    [1n, '0.000001'],
    [10n, '0.00001'],
    [250_000n, '0.25'],
    [1_000_000n, '1.00'],
    [1_500_000n, '1.50'],
    [123_456_789n, '123.456789'],
    [MAX_MICROS, '9223372036854.775807'],
  ])('%s micro-USDC is %s USDC', (amount, text) => {
    expect(formatUsdc(micros(amount))).toBe(text)
  })
})

describe('arithmetic on amounts', () => {
  it('refuses what is below zero or beyond the column', () => {
    expect(() => micros(-1n)).toThrow(InvariantViolation)
    expect(() => micros(MAX_MICROS + 1n)).toThrow(InvariantViolation)
    expect(micros(MAX_MICROS)).toBe(MAX_MICROS)
  })

  it('refuses a difference below zero and a sum beyond the column', () => {
    expect(() => subtract(micros(1n), micros(2n))).toThrow(InvariantViolation)
    expect(() => add(micros(MAX_MICROS), micros(1n))).toThrow(InvariantViolation)
  })

  it('of nothing is zero', () => {
    expect(add()).toBe(ZERO)
    expect(subtract(micros(5n), micros(5n))).toBe(ZERO)
  })

  it('finds the least wherever it stands', () => {
    expect(least(micros(3n), micros(1n), micros(2n))).toBe(1n)
    expect(least(micros(1n), micros(3n))).toBe(1n)
    expect(least(micros(7n))).toBe(7n)
  })
})

describe('an amount on the wire', () => {
  it('is a decimal string and becomes a bigint', () => {
    expect(usdcMicros.decode('250000')).toBe(250_000n)
    expect(z.encode(usdcMicros, micros(250_000n))).toBe('250000')
  })

  it.each([
    ['a number', 250_000],
    ['a bigint', 1n],
    ['a sign', '-1'],
    ['a fraction', '1.0'],
    ['a leading zero', '00'],
    ['an exponent', '1e3'],
    ['hex', '0x1'],
    ['white space', ' 1'],
    ['twenty digits', '10000000000000000000'],
    ['one above the largest', '9223372036854775808'],
    ['a long word', 'oAFWJ5dOkZR3Hylrr0ACNgS3Lavuh93h26SXcasdEWQ'],
    ['nothing', ''],
    ['null', null],
  ])('is refused as %s, without throwing', (_, value) => {
    expect(usdcMicros.safeDecode(value as string).success).toBe(false)
  })

  it('may be the largest', () => {
    expect(usdcMicros.decode('9223372036854775807')).toBe(MAX_MICROS)
  })

  it('below zero or above the largest cannot be sent', () => {
    expect(usdcMicros.safeEncode(-1n as never).success).toBe(false)
    expect(usdcMicros.safeEncode((MAX_MICROS + 1n) as never).success).toBe(false)
    expect(usdcMicros.safeEncode(1 as never).success).toBe(false)
  })
})
