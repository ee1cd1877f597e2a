import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ArgumentSpec } from './argumentSpec.ts'
import { type ArgumentsSpec, checkArguments, isWorkspacePath } from './arguments.ts'
import { LIMITS } from './limits.ts'

const name = fc.constantFrom('a', 'code', 'width', 'scene', 'flags', 'constructor', 'toString')
const nasty = fc.constantFrom(
  '-rf',
  '--',
  '../x',
  '/etc/passwd',
  'a\0b',
  '\ud800',
  '$(id)',
  '`id`',
  'a;b',
  'a\nb',
  '',
  '.',
  '~',
)
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), nasty)
const value = fc.oneof(
  text,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.array(text, { maxLength: 4 }),
  fc.anything({ maxDepth: 2 }),
)

const bound = fc.option(fc.integer({ min: -5, max: 5 }), { nil: undefined })
const argument: fc.Arbitrary<ArgumentSpec> = fc.oneof(
  fc
    .record({ minLength: fc.nat(3), maxLength: fc.integer({ min: 3, max: 9 }) })
    .map((r) => ({ type: 'string' as const, ...r })),
  fc.constant<ArgumentSpec>({ type: 'string', enum: ['x', 'y'] }),
  fc.constant({ type: 'string' as const, default: 'd' }),
  fc.record({ minimum: bound, maximum: bound }).map((r) => ({ type: 'integer' as const, ...r })),
  fc.record({ minimum: bound, maximum: bound }).map((r) => ({ type: 'number' as const, ...r })),
  fc.constant({ type: 'boolean' as const }),
  fc.constant({ type: 'file' as const }),
  fc.constant({ type: 'array' as const, items: { type: 'string' as const, maxLength: 6 }, maxItems: 3 }),
)
const spec: fc.Arbitrary<ArgumentsSpec> = fc.record({
  properties: fc.dictionary(name, argument, { noNullPrototype: true }),
  required: fc.array(name, { maxLength: 2 }),
})

/** The texts of which argv elements are made. */
const textsOf = (args: Readonly<Record<string, unknown>>) =>
  Object.values(args)
    .flatMap((item) => (Array.isArray(item) ? item : [item]))
    .map(String)

describe('whatever is sent as arguments', () => {
  it('is judged, never thrown on', () => {
    fc.assert(
      fc.property(spec, fc.oneof(value, fc.dictionary(name, value)), (given, args) => {
        const result = checkArguments(given, args)
        if (!result.ok) expect(result.issues.length).toBeGreaterThan(0)
      }),
      { numRuns: 1_000 },
    )
  })

  it('has, once accepted, no NUL, no lone surrogate, no other type and no name of its own', () => {
    fc.assert(
      fc.property(spec, fc.dictionary(name, value), (given, args) => {
        const result = checkArguments(given, args)
        if (!result.ok) return
        for (const element of textsOf(result.args)) {
          expect(element.isWellFormed() && !element.includes('\0')).toBe(true)
        }
        for (const [key, accepted] of Object.entries(result.args)) {
          expect(Object.hasOwn(given.properties, key)).toBe(true)
          expect(['string', 'number', 'boolean', 'object']).toContain(typeof accepted)
          expect(accepted === null || (typeof accepted === 'object' && !Array.isArray(accepted))).toBe(false)
        }
      }),
      { numRuns: 1_000 },
    )
  })

  it('keeps every bound of its specification', () => {
    fc.assert(
      fc.property(argument, value, (one, given) => {
        const result = checkArguments({ properties: { a: one }, required: ['a'] }, { a: given })
        if (!result.ok) return
        const { a } = result.args
        if (one.type === 'string' && one.maxLength)
          expect(String(a).length).toBeLessThanOrEqual(one.maxLength)
        if (one.type === 'string' && one.enum) expect(one.enum).toContain(a)
        if (one.type === 'integer') expect(Number.isSafeInteger(a)).toBe(true)
        if (one.type === 'integer' || one.type === 'number') {
          expect(Number(a)).toBeGreaterThanOrEqual(one.minimum ?? Number.NEGATIVE_INFINITY)
          expect(Number(a)).toBeLessThanOrEqual(one.maximum ?? Number.POSITIVE_INFINITY)
        }
        if (one.type === 'array') expect((a as string[]).length).toBeLessThanOrEqual(one.maxItems)
        if (one.type === 'file') expect(isWorkspacePath(String(a))).toBe(true)
      }),
      { numRuns: 1_000 },
    )
  })

  it('is accepted again unchanged: checking twice is checking once', () => {
    fc.assert(
      fc.property(spec, fc.dictionary(name, value), (given, args) => {
        const once = checkArguments(given, args)
        if (once.ok) expect(checkArguments(given, once.args)).toEqual(once)
      }),
    )
  })
})

describe('whatever is sent as a file’s name', () => {
  const part = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.constantFrom('.', '..', '', '-', 'a', '\\', '\0', 'a\u202e'),
  )
  const path = fc.oneof(
    text,
    fc.array(part, { maxLength: 6 }).map((parts) => parts.join('/')),
  )

  it('stays inside the workspace once accepted, and cannot be an option', () => {
    fc.assert(
      fc.property(path, (candidate) => {
        if (!isWorkspacePath(candidate)) return
        // Resolved by a URL, which knows nothing of our rules: no part climbs, nothing is dropped.
        const base = 'file:///workspace/'
        const encoded = candidate.split('/').map(encodeURIComponent).join('/')
        expect(new URL(encoded, base).pathname).toBe(`/workspace/${encoded}`)
        expect(candidate.startsWith('-') || candidate.startsWith('/')).toBe(false)
        expect(candidate.split('/').every((one) => one !== '' && one !== '.' && one !== '..')).toBe(true)
        expect(Buffer.byteLength(candidate)).toBeLessThanOrEqual(LIMITS.fileNameBytes)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is what is checked
        expect(/[\u0000-\u001f\u007f\\]/.test(candidate)).toBe(false)
      }),
      { numRuns: 2_000 },
    )
  })
})
