import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backoffMs } from './backoff.ts'

const TIMING = { reconnectMs: 500, reconnectMaxMs: 30_000 }

describe('the pause before an attempt', () => {
  test('grows to its longest and never beyond, never below half, for any number of attempts', () => {
    const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.nat({ max: 1_000_000 }), fraction, (attempt, chance) => {
        const fullMs = Math.min(30_000, 500 * 2 ** Math.min(attempt, 30))
        const pauseMs = backoffMs(attempt, chance, TIMING)
        expect(pauseMs).toBeGreaterThanOrEqual(fullMs / 2)
        expect(pauseMs).toBeLessThanOrEqual(fullMs)
      }),
    )
  })
})
