import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, type Json, parseCanonicalJson } from './canonicalJson.ts'
import { InvariantViolation } from './invariant.ts'
import { LIMITS } from './limits.ts'

/** The bit patterns of RFC 8785, appendix B, and how each number is printed. */
const NUMBERS: readonly [string, string][] = [
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['c340000000000000', '-9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef4f', '999999999999999900000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'],
  ['41b3de4355555555', '333333333.3333333'],
  ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
]

const fromBits = (hex: string) => Buffer.from(hex, 'hex').readDoubleBE()
const json = fc.jsonValue({ noUnicodeString: false }) as fc.Arbitrary<Json>

describe('canonical JSON', () => {
  it.each(NUMBERS)('prints the number %s as RFC 8785 does: %s', (bits, text) => {
    expect(canonicalJson(fromBits(bits))).toBe(text)
  })

  it('refuses the two numbers that JSON has not', () => {
    expect(() => canonicalJson(fromBits('7fffffffffffffff'))).toThrow(InvariantViolation)
    expect(() => canonicalJson(fromBits('7ff0000000000000'))).toThrow(InvariantViolation)
  })

  it('prints the example of RFC 8785, section 3.2.2', () => {
    const value = JSON.parse(
      '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],' +
        String.raw`"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}`,
    ) as Json
    expect(canonicalJson(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    )
  })

  it('sorts names by UTF-16 code units, as in RFC 8785, section 3.2.3', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    }
    expect(Object.values(JSON.parse(canonicalJson(value)) as object)).toEqual([
      // Integer-like names come first in any JavaScript object; the text itself is what is sorted.
      'One',
      'Carriage Return',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ])
    expect(canonicalJson(value).indexOf('\\r')).toBeLessThan(canonicalJson(value).indexOf('"1"'))
  })

  it('leaves out members without a value', () => {
    expect(canonicalJson({ a: undefined, b: null })).toBe('{"b":null}')
  })

  it('refuses a lone surrogate in a value or a name, which no UTF-8 can carry', () => {
    expect(() => canonicalJson('\ud800')).toThrow(expect.objectContaining({ code: 'validation_failed' }))
    expect(() => canonicalJson({ '\udc00': 1 })).toThrow(
      expect.objectContaining({ code: 'validation_failed' }),
    )
  })

  it('refuses what is nested too deep, instead of overflowing the stack', () => {
    const nest = (levels: number) => {
      let value: Json = 1
      for (let level = 0; level < levels; level += 1) value = [value]
      return value
    }
    expect(canonicalJson(nest(LIMITS.jsonDepth))).toContain('1')
    expect(() => canonicalJson(nest(LIMITS.jsonDepth + 1))).toThrow(
      expect.objectContaining({ code: 'validation_failed' }),
    )
    expect(() => canonicalJson(nest(100_000))).toThrow(expect.objectContaining({ code: 'validation_failed' }))
  })
})

describe('any JSON value', () => {
  it('means the same in its canonical form', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('has one canonical form, however its members are ordered', () => {
    const record = fc.dictionary(fc.string({ unit: 'grapheme' }), json, { maxKeys: 8, noNullPrototype: true })
    fc.assert(
      fc.property(record, (members) => {
        const turned = Object.fromEntries(Object.entries(members).reverse())
        expect(canonicalJson(turned as Json)).toBe(canonicalJson(members as Json))
      }),
    )
  })

  it('is read back from its canonical form and from no other bytes', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalJson(value)
        expect(parseCanonicalJson(text)).toEqual(JSON.parse(text))
        expect(parseCanonicalJson(`${text} `)).toBeUndefined()
        expect(parseCanonicalJson(` ${text}`)).toBeUndefined()
      }),
    )
  })
})

describe('reading canonical JSON', () => {
  it('accepts exactly what printing gives, by its fast way as by its slow one', () => {
    const name = fc.oneof(
      fc.constantFrom('a', 'b', '1', '10', '9', '', '__proto__', 'é', '\ud800'),
      fc.string(),
    )
    const member = fc.oneof(
      fc.integer(),
      fc.double({ noNaN: true }),
      fc.string({ unit: 'binary' }),
      fc.constant(null),
    )
    const inner = fc.array(fc.tuple(name, member), { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs))
    const outer = fc.array(fc.tuple(name, fc.oneof(member, inner)), { maxLength: 5 })
    fc.assert(
      fc.property(outer, (pairs) => {
        const text = JSON.stringify(Object.fromEntries(pairs))
        let canonical: string | undefined
        try {
          canonical = canonicalJson(JSON.parse(text) as Json)
        } catch {
          // Lone surrogates have no canonical form.
        }
        expect(parseCanonicalJson(text) !== undefined).toBe(canonical === text)
      }),
      { numRuns: 1_000 },
    )
  })

  it.each([
    ['white space', '{"a": 1}'],
    ['unsorted names', '{"b":1,"a":2}'],
    ['a name twice', '{"a":1,"a":1}'],
    ['a needless escape', '"\\u0041"'],
    ['an escaped slash', '"\\/"'],
    ['a number with a plus', '1e+2'],
    ['a trailing zero', '1.0'],
    ['minus zero', '-0'],
    ['a lone surrogate', '"\\ud800"'],
    ['no JSON', 'undefined'],
    ['nothing', ''],
  ])('refuses %s', (_, text) => {
    expect(parseCanonicalJson(text)).toBeUndefined()
  })

  it('is not fooled by the names that objects are made of', () => {
    const text = '{"__proto__":{"a":1},"constructor":2}'
    expect(parseCanonicalJson(text)).toBeDefined()
    expect(canonicalJson(JSON.parse(text) as Json)).toBe(text)
  })
})
