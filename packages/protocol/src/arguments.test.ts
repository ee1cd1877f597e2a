import { describe, expect, it } from 'vitest'
import { argumentSpec } from './argumentSpec.ts'
import {
  type ArgumentsSpec,
  argumentsJsonSchema,
  argumentsSpec,
  checkArguments,
  isWorkspacePath,
} from './arguments.ts'
import { LIMITS } from './limits.ts'

const spec: ArgumentsSpec = {
  properties: {
    language: { type: 'string', enum: ['python', 'javascript'] },
    code: { type: 'string', minLength: 1, maxLength: 20 },
    width: { type: 'integer', minimum: 64, maximum: 1_920, default: 640 },
    gamma: { type: 'number', minimum: 0.1, maximum: 4 },
    preview: { type: 'boolean', default: false },
    scene: { type: 'file' },
    flags: { type: 'array', items: { type: 'string', maxLength: 5 }, maxItems: 3 },
  },
  required: ['language', 'code'],
}
const good = { language: 'python', code: 'print(1)' }

/** The complaint about one argument, or what it became. */
function outcome(name: string, value: unknown) {
  const result = checkArguments(spec, { ...good, [name]: value })
  if (result.ok) return result.args[name]
  return result.issues.map((issue) => `${issue.path} ${issue.message}`).join('; ')
}

describe('arguments of a tool', () => {
  it('are taken as they are, defaults filled in', () => {
    const args = { ...good, width: 64, gamma: 2.2, preview: true, scene: 'in/scene.json', flags: ['a', 'b'] }
    expect(checkArguments(spec, args)).toEqual({ ok: true, args })
    expect(checkArguments(spec, good)).toEqual({ ok: true, args: { ...good, width: 640, preview: false } })
  })

  it('that are undefined count as absent', () => {
    expect(checkArguments(spec, { ...good, width: undefined }).ok).toBe(true)
    expect(outcome('code', undefined)).toBe('args.code is required')
  })

  it('that the tool has not are refused by name, cut to a readable length', () => {
    expect(outcome('shell', 'sh')).toBe('args.shell is not an argument of this tool')
    expect(outcome('x'.repeat(1_000), 1)).toHaveLength('args. is not an argument of this tool'.length + 60)
  })

  it('are all complained about at once', () => {
    const result = checkArguments(spec, { width: 1, gamma: 9, other: 1 })
    expect(result.ok ? [] : result.issues.map((issue) => issue.path)).toEqual([
      'args.other',
      'args.language',
      'args.code',
      'args.width',
      'args.gamma',
    ])
  })

  it.each([[null], [undefined], [1], ['args'], [[]], [[good]], [true]])('may not be %j', (value) => {
    expect(checkArguments(spec, value)).toMatchObject({ ok: false, issues: [{ path: 'args' }] })
  })

  it('are not taken from the prototype of an object', () => {
    const inherited: unknown = Object.create(good)
    expect(checkArguments(spec, inherited).ok).toBe(false)
    expect(outcome('constructor', 1)).toContain('is not an argument')
    expect(checkArguments(spec, JSON.parse('{"__proto__":1,"language":"python","code":"1"}')).ok).toBe(false)
  })

  it.each([
    ['language', 'ruby', 'args.language must be one of python, javascript'],
    ['language', 1, 'args.language must be one of python, javascript'],
    ['code', '', 'args.code must have at least 1 characters'],
    ['code', 'x'.repeat(21), 'args.code must have at most 20 characters'],
    ['code', 'a\0b', 'args.code must be valid Unicode without NUL'],
    ['code', '\ud800', 'args.code must be valid Unicode without NUL'],
    ['code', 7, 'args.code must be a string'],
    ['code', null, 'args.code must be a string'],
    ['width', 63, 'args.width must be at least 64'],
    ['width', 1_921, 'args.width must be at most 1920'],
    ['width', 100.5, 'args.width must be a whole number'],
    ['width', '100', 'args.width must be a whole number'],
    ['width', 2 ** 53, 'args.width must be a whole number'],
    ['gamma', Number.NaN, 'args.gamma must be a number'],
    ['gamma', Number.POSITIVE_INFINITY, 'args.gamma must be a number'],
    ['gamma', '2.2', 'args.gamma must be a number'],
    ['gamma', 0, 'args.gamma must be at least 0.1'],
    ['preview', 'true', 'args.preview must be true or false'],
    ['preview', 1, 'args.preview must be true or false'],
    ['scene', '../secret', 'args.scene must be the name of a file in the workspace'],
    ['scene', 5, 'args.scene must be the name of a file in the workspace'],
    ['flags', 'a', 'args.flags must be a list'],
    ['flags', ['a', 'b', 'c', 'd'], 'args.flags must have at most 3 items'],
    ['flags', ['a', 5], 'args.flags item 1 must be a string'],
    ['flags', ['a', '\0'], 'args.flags item 1 must be valid Unicode without NUL'],
    ['flags', ['toolong'], 'args.flags item 0 must have at most 5 characters'],
    ['flags', [['a']], 'args.flags item 0 must be a string'],
  ])('%s = %j is refused: %s', (name, value, message) => {
    expect(outcome(name, value)).toBe(message)
  })
})

describe('a file argument', () => {
  it.each([
    'a',
    'a.png',
    'in/scene.json',
    'a b',
    'ü/日本.txt',
    '...',
    '..a',
    'a..',
    '.hidden',
    'a'.repeat(255),
  ])('may be named %s', (name) => {
    expect(isWorkspacePath(name)).toBe(true)
  })

  it.each([
    ['nothing', ''],
    ['the workspace itself', '.'],
    ['its parent', '..'],
    ['a parent on the way', 'a/../b'],
    ['a parent at the end', 'a/..'],
    ['a dot on the way', 'a/./b'],
    ['an absolute path', '/etc/passwd'],
    ['an empty part', 'a//b'],
    ['a trailing slash', 'a/'],
    ['an option', '-rf'],
    ['a long option', '--output=/tmp/x'],
    ['a backslash', 'a\\..\\b'],
    ['NUL', 'a\0b'],
    ['a newline', 'a\nb'],
    ['an escape', 'a\u001b[31m'],
    ['DEL', 'a\u007f'],
    ['a lone surrogate', 'a\udc00'],
    ['a part that no file system takes', 'a'.repeat(256)],
    ['more bytes than the limit', 'é'.repeat(LIMITS.fileNameBytes / 2 + 1)],
  ])('may not be %s', (_, name) => {
    expect(isWorkspacePath(name)).toBe(false)
  })
})

describe('the specification of arguments', () => {
  it('takes every type and refuses others', () => {
    expect(argumentsSpec.safeParse(spec).success).toBe(true)
    expect(argumentSpec.safeParse({ type: 'object' }).success).toBe(false)
    expect(argumentSpec.safeParse({ type: 'string', pattern: '(a+)+' }).success).toBe(false)
  })

  it('takes no name that could be mistaken for something else', () => {
    for (const name of ['Constructor', 'a-b', 'a b', '', '1a', 'a'.repeat(42)]) {
      const properties = JSON.parse(`{${JSON.stringify(name)}:{"type":"boolean"}}`) as unknown
      expect(argumentsSpec.safeParse({ properties, required: [] }).success).toBe(false)
    }
  })

  it('drops a name that would change the object it stands in', () => {
    const given = JSON.parse('{"properties":{"__proto__":{"type":"boolean"}}}') as unknown
    expect(argumentsSpec.parse(given)).toEqual({ properties: {}, required: [] })
  })

  it('takes only requirements and defaults that it can keep itself', () => {
    const spec = (properties: object, required: string[] = []) =>
      argumentsSpec.safeParse({ properties, required }).success
    expect(spec({ a: { type: 'boolean' } }, ['a'])).toBe(true)
    expect(spec({ a: { type: 'boolean' } }, ['b'])).toBe(false)
    expect(spec({}, ['constructor'])).toBe(false)
    expect(spec({ a: { type: 'integer', minimum: 1, default: 1 } })).toBe(true)
    expect(spec({ a: { type: 'integer', minimum: 1, default: 0 } })).toBe(false)
    expect(spec({ a: { type: 'file', default: '../a' } })).toBe(false)
    expect(spec({ a: { type: 'string', enum: ['x'], default: 'y' } })).toBe(false)
  })

  it('takes no more arguments than the limit', () => {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}`, { type: 'boolean' }]))
    expect(argumentsSpec.safeParse({ properties: many(LIMITS.toolArguments) }).success).toBe(true)
    expect(argumentsSpec.safeParse({ properties: many(LIMITS.toolArguments + 1) }).success).toBe(false)
  })

  it('becomes a JSON Schema in which files are strings and nothing else is allowed', () => {
    const schema = argumentsJsonSchema(spec)
    expect(schema).toMatchObject({
      type: 'object',
      additionalProperties: false,
      required: ['language', 'code'],
    })
    expect(schema.properties).toMatchObject({ scene: { type: 'string', format: 'workspace-file' } })
  })
})

describe('files, lists and formats', () => {
  const media: ArgumentsSpec = {
    properties: {
      input: { type: 'file', extensions: ['.png', '.jpg'] },
      output: { type: 'file', direction: 'output', extensions: ['.webp'], default: 'out.webp' },
      frames: { type: 'array', items: { type: 'file', extensions: ['.png'] }, minItems: 1, maxItems: 3 },
      levels: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 9 }, maxItems: 2 },
      modes: { type: 'array', items: { type: 'string', enum: ['a', 'b'] }, maxItems: 2 },
      size: { type: 'string', format: 'size' },
    },
    required: [],
  }
  const judge = (args: Record<string, unknown>) => {
    const result = checkArguments(media, args)
    return result.ok ? null : result.issues.map(({ path, message }) => `${path} ${message}`).join('; ')
  }

  it.each([
    [{ input: 'a/b.PNG', frames: ['1.png'], levels: [0, 9], modes: ['b'], size: '64x64' }, null],
    [{ input: 'a.svg' }, 'args.input must end in .png, .jpg'],
    [{ output: '../x.webp' }, 'args.output must be the name of a file in the workspace'],
    [{ frames: [] }, 'args.frames must have at least 1 items'],
    [{ frames: ['a.png', '/etc/passwd'] }, 'args.frames item 1 must be the name of a file in the workspace'],
    [{ levels: [10] }, 'args.levels item 0 must be at most 9'],
    [{ levels: ['1'] }, 'args.levels item 0 must be a whole number'],
    [{ modes: ['c'] }, 'args.modes item 0 must be one of a, b'],
    [{ size: '64x64;id' }, 'args.size must be a size'],
  ])('%j: %s', (args, expected) => {
    expect(judge(args)).toBe(expected)
  })

  it('are told to foreign clients as formats and patterns', () => {
    expect(argumentsJsonSchema(media).properties).toMatchObject({
      input: {
        type: 'string',
        format: 'workspace-file',
        pattern: String.raw`\.(?:[pP][nN][gG]|[jJ][pP][gG])$`,
      },
      output: { type: 'string', format: 'workspace-output', default: 'out.webp' },
      frames: { type: 'array', minItems: 1, items: { type: 'string', format: 'workspace-file' } },
      size: { type: 'string', pattern: expect.stringContaining('x') },
    })
  })
})
