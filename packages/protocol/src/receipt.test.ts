import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { costMicros } from './meter.ts'
import { add, micros, ZERO } from './money.ts'
import {
  type ChainHead,
  type Receipt,
  readReceipt,
  receiptFault,
  receipt as receiptSchema,
  signReceipt,
} from './receipt.ts'
import { makeCast, makeOffer, makeReceipts, nextReceipt, signOffer } from './testing/bill.ts'
import { crypto, makeNodeKey } from './testing/keys.ts'
import { durationMs } from './time.ts'

const cast = makeCast('receipt')
const offer = signOffer(makeOffer(cast), cast)
const start: ChainHead = { sequence: 0, hash: 'ab'.repeat(32), cumulativeMicros: ZERO }
const first = nextReceipt(cast, start, 1_500)
const faultOf = (change: Partial<Receipt>, head = start) =>
  receiptFault({ ...first, ...change }, head)?.field ?? null

describe('a receipt', () => {
  it('is read back as it was signed, by its type and its key', () => {
    const read = readReceipt(signReceipt(first, cast.node.publicKey, cast.node.sign))
    expect(read?.receipt).toEqual(first)
    expect(read?.verify(cast.node.publicKey, crypto.verifyEd25519)).toBe(true)
    expect(read?.verify(makeNodeKey().publicKey, crypto.verifyEd25519)).toBe(false)
  })

  it('carries amounts as decimal strings', () => {
    expect(z.encode(receiptSchema, first)).toMatchObject({
      costMicros: '15000',
      rateMicrosPerMinute: '600000',
    })
  })

  it('says what its run read and wrote under the signature, and one from before that was counted is still one', () => {
    const sources = { ...first.sources, io: 'helper' } as const
    const counted: Receipt = { ...first, readBytes: 4_096, writtenBytes: 0, sources }
    const sign = (value: Receipt) => signReceipt(value, cast.node.publicKey, cast.node.sign)
    expect(readReceipt(sign(counted))?.receipt).toEqual(counted)
    expect(readReceipt(sign(first))?.receipt).not.toHaveProperty('readBytes')
    const [head, , signature] = sign(counted).split('.')
    const forged = [head, sign({ ...counted, readBytes: 1 }).split('.')[1], signature].join('.')
    expect(readReceipt(forged)?.verify(cast.node.publicKey, crypto.verifyEd25519)).toBe(false)
  })

  it('with a field that is not in the schema is no receipt', () => {
    const strange = { ...first, tip: '5' } as Receipt
    expect(() => signReceipt(strange, cast.node.publicKey, cast.node.sign)).toThrow()
  })

  it('of any text is read or refused, never thrown on', () => {
    fc.assert(fc.property(fc.string(), (text) => readReceipt(text) === null))
    expect(readReceipt(offer)).toBeNull()
  })
})

describe('a receipt in its chain', () => {
  it('is right as it is', () => {
    expect(receiptFault(first, start)).toBeNull()
  })

  const cases: [string, Partial<Receipt>, keyof Receipt][] = [
    ['a sequence twice', { sequence: 0 + 2 }, 'sequence'],
    ['another predecessor', { previous: 'cd'.repeat(32) }, 'previous'],
    ['more time than its deadline', { effectiveMs: 60_001 }, 'effectiveMs'],
    ['a lower cost than time and rate', { costMicros: micros(14_999n) }, 'costMicros'],
    ['a higher cost than time and rate', { costMicros: micros(15_001n) }, 'costMicros'],
    ['a hold below its cost', { holdMicros: micros(14_999n) }, 'costMicros'],
    ['another sum', { cumulativeMicros: micros(15_001n) }, 'cumulativeMicros'],
    ['no reason although it failed', { status: 'failed' }, 'reason'],
    ['a reason although it completed', { reason: 'cancelled' }, 'reason'],
    ['an end before its start', { endedAt: '2026-11-23T03:59:59.999Z' }, 'endedAt'],
  ]
  it.each(cases)('with %s is wrong at that field', (_, change, field) => {
    expect(faultOf(change)).toBe(field)
  })

  it('compares instants, not their spelling', () => {
    expect(faultOf({ startedAt: '2026-11-23T04:00:00Z', endedAt: '2026-11-23T04:00:00.5Z' })).toBeNull()
    expect(faultOf({ startedAt: '2026-11-23T04:00:00.5Z', endedAt: '2026-11-23T04:00:00Z' })).toBe('endedAt')
  })

  it('of a failed run costs its time, of a rejected one nothing', () => {
    expect(faultOf({ status: 'failed', reason: 'nonzero_exit' })).toBeNull()
    expect(faultOf({ status: 'failed', reason: 'rejected' })).toBe('costMicros')
    expect(
      faultOf({ status: 'failed', reason: 'rejected', costMicros: ZERO, cumulativeMicros: ZERO }),
    ).toBeNull()
  })

  it('of a run that never began costs nothing', () => {
    const none = { effectiveMs: 0, costMicros: ZERO, cumulativeMicros: ZERO }
    expect(faultOf({ ...none, status: 'failed', reason: 'sandbox_error' })).toBeNull()
  })

  it('with figures that no amount can hold is wrong, not thrown on', () => {
    const most = micros((1n << 63n) - 1n)
    expect(faultOf({ rateMicrosPerMinute: most, effectiveMs: 60_000 })).toBe('costMicros')
    expect(faultOf({}, { ...start, cumulativeMicros: most })).toBe('cumulativeMicros')
    const long = { effectiveMs: Number.MAX_SAFE_INTEGER, deadlineMs: Number.MAX_SAFE_INTEGER }
    expect(faultOf({ ...long, rateMicrosPerMinute: most })).toBe('costMicros')
  })
})

describe('a chain of receipts', () => {
  const runs = fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 8 })

  /** Walks a chain and returns the index of the first receipt that is out of place, or null. */
  function firstFault(receipts: readonly string[], head: ChainHead): number | null {
    let at = head
    for (const [index, jws] of receipts.entries()) {
      const read = readReceipt(jws)
      if (!read || receiptFault(read.receipt, at)) return index
      at = {
        sequence: read.receipt.sequence,
        hash: read.hash,
        cumulativeMicros: read.receipt.cumulativeMicros,
      }
    }
    return null
  }
  const headOf = (receipts: readonly string[]): ChainHead => ({
    sequence: 0,
    hash: readReceipt(receipts[0] ?? '')?.receipt.previous ?? '',
    cumulativeMicros: ZERO,
  })

  it('adds up to what all its runs cost', () => {
    fc.assert(
      fc.property(runs, (times) => {
        const { head, receipts } = makeReceipts(cast, offer, times)
        const sum = add(...times.map((ms) => costMicros(micros(600_000n), durationMs(ms))))
        expect(head.cumulativeMicros).toBe(sum)
        expect(firstFault(receipts, headOf(receipts))).toBeNull()
      }),
      { numRuns: 20 },
    )
  })

  it('breaks where one is left out, doubled or moved', () => {
    fc.assert(
      fc.property(runs, fc.nat(), fc.nat(), (times, a, b) => {
        fc.pre(times.length > 1)
        const { receipts } = makeReceipts(cast, offer, times)
        const head = headOf(receipts)
        const from = a % times.length
        const to = b % times.length
        const without = receipts.filter((_, index) => index !== from)
        if (from < times.length - 1) expect(firstFault(without, head)).toBe(from)
        const doubled = receipts.flatMap((jws, index) => (index === from ? [jws, jws] : [jws]))
        expect(firstFault(doubled, head)).toBe(from + 1)
        if (from !== to) {
          const moved = [...without.slice(0, to), receipts[from] ?? '', ...without.slice(to)]
          expect(firstFault(moved, head)).toBe(Math.min(from, to))
        }
      }),
      { numRuns: 20 },
    )
  })
})
