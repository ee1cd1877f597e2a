import { OrienError } from '@orien/protocol'
import { describe, expect, test } from 'vitest'
import { readManifest } from './readManifest.ts'

const LIMITS = '{ timeMs: 1000, memoryBytes: 8388608, processes: 1, diskBytes: 1048576, outputBytes: 1024 }'

const tool = (body: string) => `tools:
  - id: echo
    description: Says it
    executable: echo
    limits: ${LIMITS}
${body}`

const sound = tool(`    arguments: { properties: { text: { type: string } }, required: [text] }
    argv:
      - { kind: argument, name: text }
`)

function issuesOf(text: string): { path: string; message: string }[] {
  try {
    readManifest(text, 'orien.tools.yaml')
  } catch (error) {
    if (error instanceof OrienError && error.code === 'validation_failed')
      return [...(error.facts.issues ?? [])]
    throw error
  }
  return []
}

describe('reading a tool manifest', () => {
  test('a sound manifest gives its tools, defaults filled in', () => {
    expect(readManifest(sound, 'x').tools).toMatchObject([
      { id: 'echo', network: 'none', env: {}, readOnlyPaths: [] },
    ])
  })

  test('a mistake of form is reported with its line and column', () => {
    const issues = issuesOf(sound.replace('timeMs: 1000', 'timeMs: soon'))
    expect(issues).toEqual([
      { path: 'orien.tools.yaml:5:23 tools[0].limits.timeMs', message: expect.stringContaining('number') },
    ])
  })

  test('an unknown field is reported at its tool', () => {
    expect(issuesOf(`${sound}    shell: true\n`)).toEqual([
      { path: 'orien.tools.yaml:2:5 tools[0]', message: expect.stringContaining('shell') },
    ])
  })

  test('broken YAML is reported with its line', () => {
    expect(issuesOf('tools:\n  - id: [\n')[0]?.path).toMatch(/^orien\.tools\.yaml:\d+:\d+$/)
    expect(issuesOf('tools: []\ntools: []\n')[0]?.message).toContain('unique')
  })

  test.each([
    ['an argv part that names no argument', ['name: text }', 'name: txt }'], 'tools[0].argv[0].name'],
    [
      'a flag over a string',
      ['kind: argument, name: text', 'kind: flag, name: text, value: -l'],
      'tools[0].argv[0].name',
    ],
    [
      'an argument that leads nowhere',
      ['{ text: { type: string } }', '{ text: { type: string }, lost: { type: string } }'],
      'tools[0].arguments.properties.lost',
    ],
    ['stdin that names no string', ['    argv:', '    stdin: nothing\n    argv:'], 'tools[0].stdin'],
    [
      'NUL in a literal',
      [
        '{ kind: argument, name: text }',
        '{ kind: argument, name: text }\n      - { kind: literal, value: "a\\0b" }',
      ],
      'tools[0].argv[1].value',
    ],
  ])('%s is reported where it stands', (_title, [from = '', to = ''], field) => {
    const issues = issuesOf(sound.replace(from, to))
    expect(issues[0]?.path.replace(/^orien\.tools\.yaml:\d+:\d+ /, '')).toBe(field)
  })

  test('an id is given once', () => {
    const twice = `${sound}${sound.slice('tools:\n'.length)}`
    expect(issuesOf(twice)[0]?.path).toContain('tools[1].id')
  })

  test('aliases are refused: they could grow without bound', () => {
    expect(() => readManifest('a: &a [1]\ntools: [*a, *a]\n', 'x')).toThrow(/alias/i)
  })
})

describe('a template in a manifest', () => {
  const withTemplate = (value: string, spec: string) =>
    tool(`    arguments: { properties: { n: ${spec} } }
    argv:
      - { kind: template, value: "${value}" }
`)

  test.each([
    ['x={n}', '{ type: integer }'],
    ['x={n}', '{ type: string, format: size }'],
    ['{n}%', '{ type: number, minimum: 0 }'],
    ['{n}', '{ type: string, enum: [a, b] }'],
  ])('%j of %s is sound', (value, spec) => {
    expect(issuesOf(withTemplate(value, spec))).toEqual([])
  })

  test.each([
    ['x={n}', '{ type: string }', 'may not stand in a template'],
    ['x={n}', '{ type: file }', 'may not stand in a template'],
    ['{n}', '{ type: integer }', 'may begin with a dash'],
    ['{n}', '{ type: string, enum: [-rf] }', 'may begin with a dash'],
    ['x={m}{n}', '{ type: integer }', 'names no argument: m'],
    ['fixed', '{ type: integer }', 'names no argument'],
  ])('%j of %s is refused with its line: %s', (value, spec, message) => {
    const [first] = issuesOf(withTemplate(value, spec))
    expect(first).toEqual({
      path: expect.stringMatching(/^orien\.tools\.yaml:\d+:\d+ tools\[0\]/),
      message: expect.stringContaining(message),
    })
  })
})
