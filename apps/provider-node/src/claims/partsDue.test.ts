import { micros } from '@orien/protocol'
import { describe, expect, test } from 'vitest'
import { type PartRules, partsDue, payableOf } from './partsDue.ts'

const LOCAL = { chainId: 31_337, maxFeePerGas: 1n }
/** 20 gwei on Arc: a claim in a batch takes 800 micro-USDC, the batch 1,300 beside it. */
const ARC = { chainId: 5_042, maxFeePerGas: 20_000_000_000n }
const EVERY_MS = 600_000

const part = (earned: bigint, settled = 0n) => ({
  earnedMicros: micros(earned),
  settledMicros: micros(settled),
})
const rules = (given: Partial<PartRules> = {}): PartRules => ({
  gas: LOCAL,
  threshold: { micros: micros(5_000_000n), isChosen: false },
  waitedMs: 0,
  claimEveryMs: EVERY_MS,
  ...given,
})

describe('a part of what is earned is claimed', () => {
  test('when all channels together stand above the threshold, to the micro-USDC', () => {
    const parts = [part(2_000_000n), part(3_999_900n, 1_000_000n)]
    expect(partsDue(parts, rules())).toBeNull()
    expect(partsDue([...parts, part(100n)], rules())).toMatchObject({ reason: 'threshold' })
  })

  test('when something has stood for the interval, however little', () => {
    expect(partsDue([part(100n)], rules({ waitedMs: EVERY_MS - 1 }))).toBeNull()
    expect(partsDue([part(100n)], rules({ waitedMs: EVERY_MS }))).toMatchObject({ reason: 'interval' })
  })

  test('only where there is a whole step that was not paid', () => {
    const late = rules({ waitedMs: EVERY_MS })
    expect(partsDue([part(99n), part(1_099n, 1_000n), part(500n, 600n)], late)).toBeNull()
    expect([part(99n), part(1_250n, 1_000n), part(500n, 600n)].map(payableOf)).toEqual([0n, 200n, 0n])
  })

  test('only where it brings twenty times its gas, if the coin is USDC', () => {
    const late = rules({ gas: ARC, waitedMs: EVERY_MS })
    // 20 × (1,300 + 800) of gas are 42,000: nine tenths of 46,667.
    expect(partsDue([part(46_600n)], late)).toBeNull()
    expect(partsDue([part(46_700n)], late)).toMatchObject({ reason: 'interval' })
    const [large, small] = [part(100_000n), part(10_000n)]
    expect(partsDue([large, small], late)?.parts).toEqual([large])
  })

  test('only by the owner’s own threshold where gas has no price in USDC', () => {
    const elsewhere = { gas: { chainId: 1, maxFeePerGas: 1n }, waitedMs: EVERY_MS }
    expect(partsDue([part(9_000_000n)], rules(elsewhere))).toBeNull()
    const chosen = { ...elsewhere, threshold: { micros: micros(8_000_000n), isChosen: true } }
    expect(partsDue([part(9_000_000n)], rules(chosen))).toMatchObject({ reason: 'threshold' })
    expect(partsDue([part(7_000_000n)], rules(chosen))).toBeNull()
  })
})
