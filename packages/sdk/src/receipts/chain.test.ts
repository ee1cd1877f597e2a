import { decodeJws, jwsHash, micros, type Offer, offer as offerSchema } from '@orien/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeProvider, newId, wordOf } from '../testing/providerStandIn.ts'
import { ReceiptChain } from './chain.ts'

const provider = await makeProvider('chain')
const offerHash = jwsHash(provider.offerText)
const offer = offerSchema.decode(decodeJws('orien-offer+jws', provider.offerText)?.payload as never) as Offer
const sessionId = newId('session')
const channelId = wordOf('channel')

const newChain = () => new ReceiptChain({ sessionId, channelId, nodeKey: provider.nodeKey, offer }, offerHash)

/** A true chain of runs of one second, ten thousand micro-USDC each. */
function makeChain(length: number): string[] {
  const receipts: string[] = []
  for (let sequence = 1; sequence <= length; sequence += 1) {
    receipts.push(
      provider.receipt({
        executionId: newId('execution'),
        sessionId,
        channelId,
        sequence,
        previous: jwsHash(receipts.at(-1) ?? provider.offerText),
        cumulativeBefore: BigInt(sequence - 1) * 10_000n,
        effectiveMs: 1_000,
        holdMicros: micros(600_000n),
      }),
    )
  }
  return receipts
}

const LENGTH = 8
const receipts = makeChain(LENGTH)

describe('the receipts of a session', () => {
  it('add up in any order in which they arrive, and however often', () => {
    const order = fc.shuffledSubarray([...receipts.keys(), ...receipts.keys()], { minLength: LENGTH * 2 })
    fc.assert(
      fc.property(order, (indexes) => {
        const chain = newChain()
        const seen = new Set<number>()
        for (const index of indexes) {
          chain.accept(receipts[index] ?? '')
          seen.add(index)
          expect(chain.consumedMicros).toBe(BigInt(seen.size) * 10_000n)
        }
        expect(chain.head).toMatchObject({ sequence: LENGTH, hash: jwsHash(receipts.at(-1) ?? '') })
        expect(chain.missing).toBeNull()
        chain.assertComplete(micros(BigInt(LENGTH) * 10_000n))
      }),
      { numRuns: 30 },
    )
  })

  it('of which one is missing are not complete', () => {
    const chain = newChain()
    for (const [index, jws] of receipts.entries()) if (index !== 2) chain.accept(jws)
    expect(chain.missing).toBe(3)
    expect(() => chain.assertComplete(micros(70_000n))).toThrow(
      expect.objectContaining({ code: 'receipt_out_of_order' }),
    )
    chain.accept(receipts[2] ?? '')
    expect(chain.missing).toBeNull()
  })

  it('are complete only for the sum that they are billed for', () => {
    const chain = newChain()
    for (const jws of receipts) chain.accept(jws)
    for (const billed of [79_999n, 80_001n]) {
      expect(() => chain.assertComplete(micros(billed))).toThrow(
        expect.objectContaining({ code: 'receipt_disputed' }),
      )
    }
  })

  it('fork when there are two for one place, and nothing is accepted any more', () => {
    const chain = newChain()
    const fork = makeChain(1)
    chain.accept(receipts[0] ?? '')
    expect(() => chain.accept(fork[0] ?? '')).toThrow(
      expect.objectContaining({ code: 'receipt_out_of_order' }),
    )
    expect(() => chain.accept(receipts[1] ?? '')).toThrow(
      expect.objectContaining({ code: 'receipt_out_of_order' }),
    )
    expect(() => chain.assertSound()).toThrow()
  })

  it('that are not signed do not poison the chain: the true one is still accepted', () => {
    const chain = newChain()
    const [first = ''] = receipts
    const unsigned = first.replace(/\.[^.]*$/, `.${'A'.repeat(86)}`)
    expect(() => chain.accept(unsigned)).toThrow(expect.objectContaining({ code: 'signature_invalid' }))
    expect(chain.consumedMicros).toBe(0n)
    chain.accept(first)
    expect(chain.consumedMicros).toBe(10_000n)
  })
})
