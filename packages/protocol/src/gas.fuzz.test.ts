import fc from 'fast-check'
import { expect, expectTypeOf, test } from 'vitest'
import { formatGas, type GasWei, gasToUsdc, gasWei, usdcToGas } from './gas.ts'
import { formatUsdc, MAX_MICROS, micros, ONE_USDC, parseUsdc, type UsdcMicros } from './money.ts'

const amounts = fc.bigInt({ min: 0n, max: MAX_MICROS }).map(micros)

test('one USDC is 1000000 as money and 10^18 as gas', () => {
  expect(ONE_USDC).toBe(1_000_000n)
  expect(parseUsdc('1')).toBe(1_000_000n)
  expect(usdcToGas(parseUsdc('1'))).toBe(10n ** 18n)
  expect(gasToUsdc(gasWei(10n ** 18n))).toBe(1_000_000n)
})

test('an amount of USDC survives the way through native coin', () => {
  fc.assert(fc.property(amounts, (amount) => gasToUsdc(usdcToGas(amount)) === amount))
})

test('the ERC-20 view of a native balance never shows more than there is', () => {
  const balances = fc.bigInt({ min: 0n, max: usdcToGas(micros(MAX_MICROS)) }).map(gasWei)
  fc.assert(
    fc.property(balances, (wei) => {
      const back = usdcToGas(gasToUsdc(wei))
      expect(back <= wei && wei - back < 10n ** 12n).toBe(true)
    }),
  )
})

test('native coin is shown exactly, with the decimals of its chain', () => {
  expect(formatGas(gasWei(0n), 18)).toBe('0')
  expect(formatGas(gasWei(1n), 18)).toBe('0.000000000000000001')
  expect(formatGas(gasWei(1_500_000_000_000_000_000n), 18)).toBe('1.5')
  expect(formatGas(gasWei(150n), 0)).toBe('150')
  fc.assert(fc.property(amounts, (amount) => formatGas(gasWei(amount), 6) === trimmed(formatUsdc(amount))))
})

test('gas and money are not given for one another, nor is a plain integer: the types refuse it', () => {
  expectTypeOf<GasWei>().not.toExtend<UsdcMicros>()
  expectTypeOf<UsdcMicros>().not.toExtend<GasWei>()
  expectTypeOf<bigint>().not.toExtend<UsdcMicros>()
  expectTypeOf<bigint>().not.toExtend<GasWei>()
  // What is added up is of no unit until somebody says of which.
  const sum = micros(1n) + gasWei(1n)
  expectTypeOf(sum).toEqualTypeOf<bigint>()
  expect(sum).toBe(2n)
})

const trimmed = (text: string) => text.replace(/\.?0+$/, '')
