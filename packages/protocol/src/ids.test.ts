import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as ids from './ids.ts'
import { ID_PREFIXES, type IdKind, makeId } from './ids.ts'
import { InvariantViolation } from './invariant.ts'

const random = fc.uint8Array({ minLength: 10, maxLength: 10 })
const instantMs = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const kinds = Object.keys(ID_PREFIXES) as IdKind[]

const schemas = {
  session: ids.sessionId,
  execution: ids.executionId,
  provider: ids.providerId,
  agent: ids.agentId,
  settlement: ids.settlementId,
  payment: ids.paymentId,
  key: ids.keyId,
} as const
type Checked = keyof typeof schemas

describe('an id', () => {
  it('is its prefix and 26 characters', () => {
    expect(makeId('session', 0, new Uint8Array(10))).toBe('ses_00000000000000000000000000')
    expect(makeId('event', 2 ** 48 - 1, new Uint8Array(10).fill(255))).toBe('evt_7zzzzzzzzzzzzzzzzzzzzzzzzz')
  })

  it('of each kind is accepted by the schema of its kind and by no other', () => {
    fc.assert(
      fc.property(fc.constantFrom(...kinds), instantMs, random, (kind, nowMs, bytes) => {
        const id = makeId(kind, nowMs, bytes)
        for (const name of Object.keys(schemas) as Checked[]) {
          expect(schemas[name].safeParse(id).success).toBe(name === kind)
        }
      }),
    )
  })

  it('sorts by its time, whatever the random bits are', () => {
    fc.assert(
      fc.property(instantMs, instantMs, random, random, (a, b, left, right) => {
        fc.pre(a < b)
        expect(makeId('execution', a, left) < makeId('execution', b, right)).toBe(true)
      }),
    )
  })

  it('is another one for any other time or random bits', () => {
    const parts = fc.record({ nowMs: instantMs, bytes: random })
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const same = a.nowMs === b.nowMs && Buffer.from(a.bytes).equals(Buffer.from(b.bytes))
        expect(makeId('payment', a.nowMs, a.bytes) === makeId('payment', b.nowMs, b.bytes)).toBe(same)
      }),
    )
  })

  it('needs ten random bytes', () => {
    expect(() => makeId('agent', 0, new Uint8Array(9))).toThrow(InvariantViolation)
    expect(() => ids.base32(new Uint8Array(15))).toThrow(InvariantViolation)
  })

  it.each([
    ['another prefix', 'exe_00000000000000000000000000'],
    ['no prefix', '00000000000000000000000000'],
    ['a character less', 'ses_0000000000000000000000000'],
    ['a character more', 'ses_000000000000000000000000000'],
    ['capitals', 'ses_0000000000000000000000000A'],
    ['a letter that is not in the alphabet', 'ses_0000000000000000000000000l'],
    ['a newline', 'ses_00000000000000000000000000\n'],
    ['a path', '../ses_0000000000000000000000'],
    ['nothing', ''],
  ])('with %s is refused', (_, text) => {
    expect(ids.sessionId.safeParse(text).success).toBe(false)
  })
})
