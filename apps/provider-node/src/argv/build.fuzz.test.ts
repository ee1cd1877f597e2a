import { checkArguments, type ToolArguments, type ToolManifest } from '@orien/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildArgv } from './build.ts'

const tool = {
  arguments: {
    properties: {
      plain: { type: 'string' },
      named: { type: 'string' },
      after: { type: 'string' },
      list: { type: 'array', items: { type: 'string' }, maxItems: 100 },
      file: { type: 'file' },
      count: { type: 'integer' },
      ratio: { type: 'number' },
      loud: { type: 'boolean' },
      stdin: { type: 'string' },
    },
    required: [],
  },
  argv: [
    { kind: 'literal', value: '-c' },
    { kind: 'argument', name: 'plain' },
    { kind: 'option', name: 'named', prefix: '--named=' },
    { kind: 'option', name: 'ratio', prefix: '-r=' },
    { kind: 'argument', name: 'count' },
    { kind: 'flag', name: 'loud', value: '--loud' },
    { kind: 'argument', name: 'file' },
    { kind: 'literal', value: '--' },
    { kind: 'argument', name: 'after' },
    { kind: 'argument', name: 'list' },
  ],
} satisfies Pick<ToolManifest, 'arguments' | 'argv'>

/** What attackers write: options, shell words, separators, and plain unicode. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '-',
    '--',
    '-rf',
    '--named=x',
    '$(id)',
    '`id`',
    ';id',
    '| sh',
    'a b',
    '\n-x',
    '*',
    '~',
    '',
    '../x',
  ),
)
const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,8}(\/[a-z][a-z0-9]{0,8}){0,2}$/)
const given = fc.record(
  {
    plain: hostile,
    named: hostile,
    after: hostile,
    list: fc.array(hostile, { maxLength: 6 }),
    file: fc.oneof(name, hostile),
    count: fc.integer(),
    ratio: fc.double({ noNaN: true, noDefaultInfinity: true }),
    loud: fc.boolean(),
    stdin: hostile,
  },
  { requiredKeys: [] },
)

/** The command line that the manifest's order dictates, one value at a time, written without the code under test. */
function expected(args: ToolArguments): string[] {
  const one = (value: unknown, prefix = '') => (value === undefined ? [] : [`${prefix}${value}`])
  return [
    '-c',
    ...one(args.plain),
    ...one(args.named, '--named='),
    ...one(args.ratio, '-r='),
    ...one(args.count),
    ...(args.loud === true ? ['--loud'] : []),
    ...one(args.file, '/workspace/'),
    '--',
    ...one(args.after),
    ...((args.list as readonly string[] | undefined) ?? []),
  ]
}

describe('building a command line', () => {
  test('each value is exactly one element, whatever it holds, and nothing else is there', () => {
    fc.assert(
      fc.property(given, (args) => {
        const checked = checkArguments(tool.arguments, args)
        if (!checked.ok) return
        const built = buildArgv(tool, checked.args)
        if (built.ok) expect(built.argv).toEqual(expected(checked.args))
      }),
      { numRuns: 2_000 },
    )
  })

  test('no value before the end of options begins with a dash of its own', () => {
    fc.assert(
      fc.property(given, (args) => {
        const checked = checkArguments(tool.arguments, args)
        if (!checked.ok) return
        const built = buildArgv(tool, checked.args)
        if (!built.ok) return
        const options = built.argv.slice(0, built.argv.indexOf('--', 1))
        const dashed = options.filter((element) => element.startsWith('-'))
        const ours = /^(-c|--loud|--named=|-r=)/
        for (const element of dashed) expect(element).toMatch(ours)
        expect(dashed.filter((element) => element === '-c')).toHaveLength(1)
      }),
      { numRuns: 2_000 },
    )
  })

  test('a dash is refused where it would be an option, and allowed behind a prefix or after --', () => {
    expect(buildArgv(tool, { plain: '-rf' })).toMatchObject({ ok: false, issues: [{ path: 'args.plain' }] })
    expect(buildArgv(tool, { count: -1 })).toMatchObject({ ok: false, issues: [{ path: 'args.count' }] })
    expect(buildArgv(tool, { named: '-rf', ratio: -1, after: '-rf', list: ['-a', '--'] })).toEqual({
      ok: true,
      argv: ['-c', '--named=-rf', '-r=-1', '--', '-rf', '-a', '--'],
    })
  })

  test('a value that the kernel would not take as one element is refused, counted in bytes', () => {
    const wide = '€'.repeat(43_691)
    expect(wide.length).toBeLessThan(131_071)
    expect(buildArgv(tool, { named: wide })).toMatchObject({ ok: false, issues: [{ path: 'args.named' }] })
  })

  test('a name inherited from Object is no argument', () => {
    const odd = { ...tool, argv: [{ kind: 'argument' as const, name: 'toString' }] }
    expect(buildArgv(odd, {})).toEqual({ ok: true, argv: [] })
  })
})
