import { expect, test } from 'vitest'
import { createPatience } from './patience.ts'

function setUp() {
  let nowMs = 1_000
  const pass = (ms: number) => {
    nowMs += ms
  }
  return { patience: createPatience({ monotonicMs: () => nowMs }), pass }
}

test('what fails again and again is left alone for longer each time, up to half a minute', () => {
  const { patience, pass } = setUp()
  expect(patience.isDue('a')).toBe(true)
  for (const pauseMs of [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    patience.failed('a')
    pass(pauseMs - 1)
    expect([patience.isDue('a'), patience.resting()]).toEqual([false, ['a']])
    pass(1)
    expect([patience.isDue('a'), patience.resting()]).toEqual([true, []])
  }
})

test('what worked, and everything once something has changed, is due at once', () => {
  const { patience } = setUp()
  for (const key of ['a', 'b', 'c']) patience.failed(key)
  patience.worked('a')
  expect(patience.resting()).toEqual(['b', 'c'])
  patience.forget()
  expect(patience.resting()).toEqual([])
})
