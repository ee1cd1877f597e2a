import { micros } from '@orien/protocol'
import { describe, expect, test } from 'vitest'
import { worthClaiming } from './worthClaiming.ts'

/** 20 gwei on Arc: a close in a batch takes 800 micro-USDC, the batch 1,300 beside it. */
const ARC = { chainId: 5_042, maxFeePerGas: 20_000_000_000n }

const claim = (earned: bigint, reason: 'close_requested' | 'coordinator_silent' = 'coordinator_silent') => ({
  reason,
  earnedMicros: micros(earned),
  settledMicros: micros(0n),
})

describe('a claim of the node’s own', () => {
  test('that brings less than its gas is not made', () => {
    expect(worthClaiming([claim(2_333n)], ARC)).toEqual([])
    expect(worthClaiming([claim(2_334n)], ARC)).toHaveLength(1)
  })

  test('is made with others that pay for the batch, where it pays for itself', () => {
    const [small, smaller] = [claim(900n), claim(880n)]
    expect(worthClaiming([claim(5_000n), small, smaller], ARC)).toEqual([claim(5_000n), small])
  })

  test('counts what is not paid yet, and of that the provider’s share', () => {
    const most = { ...claim(100_000n), settledMicros: micros(98_000n) }
    expect(worthClaiming([most], ARC)).toEqual([])
  })

  test('is made whatever it costs where the payer closes the channel', () => {
    const [leaving, small] = [claim(1n, 'close_requested'), claim(10n)]
    expect(worthClaiming([small, leaving], ARC)).toEqual([leaving])
  })

  test('is always made on a chain whose gas has no price in USDC', () => {
    expect(worthClaiming([claim(1n)], { ...ARC, chainId: 31_337 })).toHaveLength(1)
  })
})
