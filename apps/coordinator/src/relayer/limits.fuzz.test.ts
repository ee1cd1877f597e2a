import { CLAIM_STEP_MICROS, micros, splitCumulative } from '@orien/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RELAY_LIMITS, selfPayingAt } from './limits.ts'

test('at any price of gas, the platform’s share of what pays for a session is worth that session’s gas', () => {
  const prices = fc.bigInt({ min: 0n, max: 1_000_000_000n })
  fc.assert(
    fc.property(prices, (gasMicros) => {
      const spentMicros = selfPayingAt(gasMicros, RELAY_LIMITS.selfPayingMicros)
      expect(spentMicros).toBeGreaterThanOrEqual(RELAY_LIMITS.selfPayingMicros)
      // Shares are whole at whole steps; what is below one is less than a micro-USDC of the share.
      const whole =
        spentMicros + CLAIM_STEP_MICROS - 1n - ((spentMicros + CLAIM_STEP_MICROS - 1n) % CLAIM_STEP_MICROS)
      expect(splitCumulative(micros(whole)).platformMicros).toBeGreaterThanOrEqual(gasMicros)
    }),
  )
})
