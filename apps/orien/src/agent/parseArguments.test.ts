import { type ArgumentsSpec, OrienError } from '@orien/protocol'
import { describe, expect, test } from 'vitest'
import { describeArguments, parseArguments } from './parseArguments.ts'

const spec: ArgumentsSpec = {
  properties: {
    width: { type: 'integer', minimum: 1, maximum: 1920 },
    scale: { type: 'number' },
    minify: { type: 'boolean' },
    entry: { type: 'file' },
    code: { type: 'string' },
    language: { type: 'string', enum: ['javascript', 'python'] },
    args: { type: 'array', items: { type: 'string' }, maxItems: 3 },
  },
  required: [],
}
const files: Record<string, string> = { 'a.py': 'print(1)', 'all.json': '{"width":7}' }
const parse = (pairs: string[], argsJson?: string) =>
  parseArguments(spec, { pairs, argsJson }, (path) => files[path] ?? '')

function refusal(work: () => unknown): OrienError {
  try {
    work()
  } catch (error) {
    if (error instanceof OrienError) return error
    throw error
  }
  return expect.unreachable('it was accepted')
}

describe('k=v has the type that the tool gives it', () => {
  test.each([
    ['width=64', { width: 64 }],
    ['scale=-1.5', { scale: -1.5 }],
    ['minify=true', { minify: true }],
    ['minify=false', { minify: false }],
    ['minify', { minify: true }],
    ['entry=src/app.js', { entry: 'src/app.js' }],
    ['code=64', { code: '64' }],
    ['code=', { code: '' }],
    ['code=a=b', { code: 'a=b' }],
    ['language=python', { language: 'python' }],
    ['args=["-x","b c"]', { args: ['-x', 'b c'] }],
    ['code=@a.py', { code: 'print(1)' }],
    ['code=@@handle', { code: '@handle' }],
  ])('%s', (pair, args) => {
    expect(parse([pair])).toEqual(args)
  })
})

describe('what has another type is refused before anything is paid', () => {
  test.each([
    ['width=6.5', 'width must be a whole number, not "6.5"'],
    ['width=0x10', 'width must be a whole number, not "0x10"'],
    ['width=', 'width must be a whole number, not ""'],
    ['scale=', 'scale must be a number, not ""'],
    ['scale=Infinity', 'scale must be a number, not "Infinity"'],
    ['minify=yes', 'minify must be true or false, not "yes"'],
    ['args=a,b', 'args is not JSON'],
    ['args={"a":1}', `args must be a JSON list, such as '["a","b"]'`],
    ['width', 'The argument width needs a value: width=…'],
    ['heigth=3', 'This tool has no argument "heigth"'],
    ['constructor=1', 'This tool has no argument "constructor"'],
    ['=1', 'This tool has no argument ""'],
  ])('%s', (pair, detail) => {
    expect(refusal(() => parse([pair])).message).toBe(detail)
  })

  test('every value that the schema forbids is named', () => {
    const { facts } = refusal(() => parse(['width=5000', 'language=ruby', 'args=["1","2","3","4"]']))
    expect(facts.issues).toEqual([
      { path: 'args.width', message: 'must be at most 1920' },
      { path: 'args.language', message: 'must be one of javascript, python' },
      { path: 'args.args', message: 'must have at most 3 items' },
    ])
  })
})

test('JSON and pairs are one set of arguments, in which each name stands once', () => {
  expect(parse(['code=x'], '{"width":2}')).toEqual({ code: 'x', width: 2 })
  expect(parse([], '@all.json')).toEqual({ width: 7 })
  expect(refusal(() => parse(['width=1'], '{"width":2}')).message).toBe('The argument width is given twice')
  expect(refusal(() => parse(['width=1', 'width=2'])).message).toBe('The argument width is given twice')
  expect(refusal(() => parse([], '[1]')).message).toBe('--args-json must be a JSON object')
  expect(refusal(() => parse([], '{')).message).toBe('--args-json is not JSON')
})

test('required arguments are asked for by name', () => {
  const strict = { ...spec, required: ['code'] }
  const { facts } = refusal(() => parseArguments(strict, { pairs: [] }, () => ''))
  expect(facts.issues).toEqual([{ path: 'args.code', message: 'is required' }])
  expect(
    describeArguments({
      properties: { code: { type: 'string' }, n: { type: 'integer' } },
      required: ['code'],
    }),
  ).toBe('Arguments: code=string [n=integer]')
  expect(describeArguments({ properties: {}, required: [] })).toBe('It takes no arguments.')
})
