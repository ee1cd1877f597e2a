import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { canonicalJson, type Json } from './canonicalJson.ts'
import { FAILURE_REASONS } from './execution.ts'
import { MAX_MICROS, ZERO } from './money.ts'
import { type Receipt, readAnyReceipt, receipt as receiptSchema } from './receipt.ts'
import { readPlainReceipt } from './receiptText.ts'
import { makeCast, nextReceipt } from './testing/bill.ts'

const plain = nextReceipt(
  makeCast('plain'),
  { sequence: 0, hash: 'ab'.repeat(32), cumulativeMicros: ZERO },
  1_500,
)
const full: Receipt = {
  ...plain,
  readBytes: 4_096,
  writtenBytes: 0,
  sources: { ...plain.sources, io: 'helper' },
  exitCode: null,
  status: 'failed',
  reason: 'timed_out',
}
const print = (value: Receipt) => canonicalJson(z.encode(receiptSchema, value) as unknown as Json)
const wire = JSON.parse(print(full)) as Record<string, Json>

/** The quick reader takes nothing that the schema refuses, and reads the same out of it. */
function expectNoMoreThanTheSchema(text: string): void {
  const quick = readPlainReceipt(text)
  if (quick !== undefined) expect(quick).toEqual(readAnyReceipt(text))
}

/** What a member is made of in forged receipts: near what it may be, on both sides. */
const strange = fc.oneof(
  fc.constantFrom<Json>(null, true, '', '1', '01', '-1', '1.5', 'none', 'namespaces+cgroups', [], {}),
  fc.constantFrom(...FAILURE_REASONS, 'cgroup', 'completed', 'lost '),
  fc.constantFrom(0, -1, 1.5, 1e15, 1e16, 1e21, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER + 1),
  fc.integer(),
  fc.bigInt({ min: -1n, max: MAX_MICROS + 1n }).map(String),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc
    .tuple(fc.integer({ min: 0, max: 13 }), fc.integer({ min: 0, max: 32 }))
    .map(
      ([month, day]) =>
        `2024-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}T23:59:59.999Z`,
    ),
  fc.stringMatching(/^(?:ses|exe|prv)_[0-9a-z]{25,27}$/),
  fc.stringMatching(/^(?:0x)?[0-9a-fA-F]{63,65}$/),
)
const file = fc.record(
  {
    bytes: fc.oneof(fc.nat(), strange),
    name: fc.oneof(fc.string({ maxLength: 600 }), fc.string({ unit: 'grapheme' }), strange),
    sha256: fc.oneof(fc.constant('ab'.repeat(32)), strange),
    more: strange,
  },
  { requiredKeys: ['bytes', 'name', 'sha256'] },
)
const member = fc.oneof(strange, fc.array(file, { maxLength: 3 }), fc.constant(undefined))
const names = fc.constantFrom(...Object.keys(wire), 'tip', '__proto__')

describe('the quick reader of receipts', () => {
  it.each([
    ['with all there can be', full],
    ['with what there has to be', plain],
    [
      'of files with many a name',
      { ...plain, outputs: [' ', '!#[]~', 'a/b c.png'].map((name) => ({ ...plain.outputs[0], name })) },
    ],
    ['with the largest plain figures', { ...plain, maxRssBytes: 999_999_999_999_999, exitCode: -255 }],
  ] as [string, Receipt][])('reads a receipt %s as the schema does', (_, value) => {
    expect(readPlainReceipt(print(value))).toEqual(value)
    expect(readAnyReceipt(print(value))).toEqual(value)
  })

  it('reads every instant of a plain year as the schema does', () => {
    for (let day = 0; day < 365; day += 1) {
      const endedAt = new Date(Date.UTC(2026, 0, 1 + day, day % 24)).toISOString()
      expect(readPlainReceipt(print({ ...plain, endedAt }))?.endedAt).toBe(endedAt)
    }
  })

  it('leaves to the schema what is not plain', () => {
    for (const change of [
      { outputs: [{ ...plain.outputs[0], name: 'größe.png' }] },
      { costMicros: MAX_MICROS },
    ]) {
      const text = print({ ...plain, ...change } as Receipt)
      expect(readPlainReceipt(text)).toBeUndefined()
      expect(readAnyReceipt(text)).toMatchObject(change)
    }
  })

  it('takes nothing that the schema refuses, whatever member is replaced, added or left out', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(names, member), { minLength: 1, maxLength: 3 }), (changes) => {
        expectNoMoreThanTheSchema(canonicalJson({ ...wire, ...Object.fromEntries(changes) }))
      }),
      { numRuns: 3_000 },
    )
  })

  it('takes no other spelling: whatever characters are replaced, doubled or left out', () => {
    const text = print(full)
    fc.assert(
      fc.property(fc.nat(text.length), fc.nat(3), fc.string({ maxLength: 3 }), (at, length, piece) => {
        expectNoMoreThanTheSchema(text.slice(0, at) + piece + text.slice(at + length))
      }),
      { numRuns: 3_000 },
    )
    fc.assert(
      fc.property(fc.shuffledSubarray(Object.keys(wire), { minLength: 25 }), (keys) => {
        expectNoMoreThanTheSchema(JSON.stringify(Object.fromEntries(keys.map((key) => [key, wire[key]]))))
      }),
    )
  })

  it('needs no longer for a text that is nearly a receipt', () => {
    const outputs = Array.from({ length: 1_000 }, () => wire.outputs as Json[]).flat()
    for (const text of [
      { ...wire, outputs },
      { ...wire, outputs: [...outputs, ...outputs] },
    ].map(canonicalJson))
      for (const other of [text, `${text} `, text.replace(/.$/, ''), text.slice(0, -40)])
        expectNoMoreThanTheSchema(other)
  })
})
