import fc from 'fast-check'
import { expect, test } from 'vitest'
import { growthPerHour, median } from './flatness.ts'

const line = (perMinute: number, noise: readonly number[]) =>
  noise.map((value, minute) => ({ minute, value: 200 + perMinute * minute + value }))

test('a leak is measured through noise that a collector makes', () => {
  const noise = fc.array(fc.double({ min: -0.5, max: 0.5, noNaN: true }), { minLength: 20, maxLength: 40 })
  fc.assert(
    fc.property(noise, fc.integer({ min: 2, max: 20 }), (given, perMinute) => {
      expect(Math.abs(growthPerHour(line(perMinute, given)) / 60 - perMinute)).toBeLessThan(0.5)
    }),
  )
})

test('one outlier does not make a flat line steep, and too few points have no slope', () => {
  const flat = line(
    0,
    Array.from({ length: 20 }, (_, minute) => (minute === 7 ? 500 : 0)),
  )
  expect(growthPerHour(flat)).toBe(0)
  expect(growthPerHour([{ minute: 1, value: 5 }])).toBe(0)
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 2, 3])).toBe(2.5)
})
