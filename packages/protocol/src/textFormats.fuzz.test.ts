import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatJsonSchema, hasFormat, TEXT_FORMATS } from './textFormats.ts'

describe.each(TEXT_FORMATS)('a text with the format %s', (format) => {
  const pattern = new RegExp(String(formatJsonSchema(format).pattern))
  const matching = fc.stringMatching(pattern)

  it('can stand inside a larger word: no dash in front, no space, quote, separator or control character', () => {
    fc.assert(
      fc.property(matching, (text) => {
        expect(hasFormat(format, text)).toBe(true)
        expect(text).not.toMatch(/^-/)
        expect(text).toMatch(/^[^\s'"`$;|&<>\\,=()[\]{}]+$/)
      }),
    )
  })

  it('is judged alike here and by the pattern that foreign clients read', () => {
    const any = fc.oneof(
      fc.string({ unit: 'binary' }),
      matching,
      matching.map((text) => `${text}\n`),
    )
    fc.assert(fc.property(any, (text) => hasFormat(format, text) === pattern.test(text)))
  })

  it('has a limit nowhere but in its length: a long one is judged at once', () => {
    const long = '1'.repeat(200_000)
    expect(hasFormat(format, `${long}!`)).toBe(false)
  })
})

describe('formats', () => {
  it.each([
    ['size', '1920x1080', '1920×1080'],
    ['size', '1x1', '0x1'],
    ['ratio', '16:9', '16:0'],
    ['timecode', '00:01:02.5', '1:2'],
    ['color', '#00ff7f', 'red'],
    ['name', 'render.png', '.hidden'],
    ['identifier', 'main_2', '2main'],
    ['date', '2026-02-28', '2026-13-01'],
    ['uuid', '123e4567-e89b-12d3-a456-426614174000', '123E4567'],
  ] as const)('%s takes %j and not %j', (format, good, bad) => {
    expect(hasFormat(format, good)).toBe(true)
    expect(hasFormat(format, bad)).toBe(false)
  })

  it('do not take a line break at the end', () => {
    for (const format of TEXT_FORMATS) expect(hasFormat(format, '1\n')).toBe(false)
  })
})
