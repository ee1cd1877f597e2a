import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { LIMITS } from './limits.ts'
import { offer } from './offer.ts'
import { SPLIT } from './split.ts'
import { makeCast, makeOffer } from './testing/bill.ts'

const wire = z.encode(offer, makeOffer(makeCast('offer')))
const accepts = (change: object) => offer.safeDecode({ ...wire, ...change } as typeof wire).success

describe('an offer', () => {
  it('is read back as it was written', () => {
    expect(z.encode(offer, offer.decode(wire))).toEqual(wire)
  })

  it('promises the split that the code pays', () => {
    const { split } = wire
    expect([split.providerBps, split.platformBps, split.reserveBps]).toEqual(
      [SPLIT.providerBps, SPLIT.platformBps, SPLIT.reserveBps].map(Number),
    )
    expect(accepts({ split: { ...split, providerBps: 9_100 } })).toBe(false)
    expect(accepts({ split: { ...split, reserveBps: 0 } })).toBe(false)
  })

  it('has a price above zero that no run can overflow', () => {
    expect(accepts({ rateMicrosPerMinute: '1' })).toBe(true)
    expect(accepts({ rateMicrosPerMinute: '0' })).toBe(false)
    expect(accepts({ rateMicrosPerMinute: String(LIMITS.maximumRateMicros + 1n) })).toBe(false)
  })

  it('has one tool at least, a hundred at most', () => {
    const [tool] = wire.tools
    expect(accepts({ tools: [] })).toBe(false)
    expect(accepts({ tools: Array.from({ length: 101 }, () => tool) })).toBe(false)
  })

  it.each([
    ['an isolation that nobody proved', { isolation: 'perfect' }],
    ['another version', { v: 2 }],
    ['no chain', { chainId: 0 }],
    ['a time without its zone', { validUntil: '2026-11-24T00:00:00' }],
    ['a time in another zone', { validUntil: '2026-11-24T00:00:00+01:00' }],
    ['a field that nobody knows', { discount: '10' }],
    ['a tool without its hash', { tools: [{ id: 'a', timeMs: 1 }] }],
  ])('with %s is refused', (_, change) => {
    expect(accepts(change)).toBe(false)
  })
})
