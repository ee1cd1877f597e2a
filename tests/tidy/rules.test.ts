import { expect, test } from 'vitest'
import { rules } from './rules/index.ts'
import { sourceFile } from './tree.ts'

type Cases = { path?: string; breaks: string[]; keeps: string[] }

const shipped = 'apps/coordinator/src/session/open.ts'
const slashes = '//'
const lines = (count: number, line: string) => Array.from({ length: count }, () => line).join('\n')
const path = (...parts: string[]) => ['', ...parts].join('/')
const host = (...parts: string[]) => parts.join('.')

/** For each rule, text that breaks it and the nearest text that does not. */
const examples: Record<string, Cases> = {
  'file-length': {
    breaks: [lines(401, 'const a = 1')],
    keeps: [lines(400, 'const a = 1')],
  },
  'function-length': {
    breaks: [`function f() {\n${lines(59, 'g()')}\n}`, `const f = () => {\n${lines(59, 'g()')}\n}`],
    keeps: [`/** Does it. */\nfunction f() {\n${lines(58, 'g()')}\n}`],
  },
  'bare-throw': {
    breaks: ["throw new Error('x')", "throw TypeError('x')"],
    keeps: ["throw new OrienError('not_found')", 'throw error'],
  },
  'silenced-types': {
    breaks: ['// @ts-ignore', '/* @ts-expect-error */', 'f(1) // @ts-ignore', '{\n  // @ts-ignore\n}'],
    keeps: [`const note = '@ts-ignore'`],
  },
  'unfinished-work': {
    breaks: ['// TODO later', '/** Waits.\n * FIXME: for ever */', 'const a = [\n  1,\n  // HACK\n]'],
    keeps: ["const label = '// TODO'"],
  },
  'environment-only-in-config': {
    breaks: ['const port = process.env.PORT', 'const { PORT } = process.env'],
    keeps: ['const port = config.port'],
  },
  'clock-only-in-clock': {
    breaks: ['Date.now()', 'new Date()', 'Date()', 'performance.now()', 'process.hrtime.bigint()'],
    keeps: ['new Date(startedMs)', 'clock.now()', 'Date.parse(text)'],
  },
  'chance-only-in-random': {
    breaks: [
      'Math.random()',
      'randomBytes(16)',
      'crypto.randomUUID()',
      'globalThis.crypto.getRandomValues(bytes)',
    ],
    keeps: ['random.bytes(16)'],
  },
  'sql-only-in-stores': {
    breaks: [
      "query('select 1 from sessions where id = $1')",
      'query(`INSERT INTO sessions values ($1)`)',
      "query('update sessions set status = 1')",
      'db.execute(sql`now()`)',
    ],
    keeps: ["say('Select a provider first')", "say('update your node')"],
  },
  'money-is-no-number': {
    breaks: [
      'type Bill = { costMicros: number }',
      'type Offer = { rateMicrosPerMinute?: number | undefined }',
      'const schema = z.object({ budgetMicros: z.number().int() })',
      'function pay(amount: number) {}',
      'Number(session.heldMicros)',
      'parseFloat(budget)',
    ],
    keeps: [
      'type Bill = { costMicros: UsdcMicros }',
      'type Usage = { effectiveMicros: number; cpuMicros: number; startedAtMicros: number }',
      'type Limits = { budgetMs: number }',
      'const schema = z.object({ budgetMicros: usdcMicros })',
    ],
  },
  'honest-tests': {
    path: 'apps/coordinator/src/session/open.test.ts',
    breaks: [
      "test.skip('x', () => {})",
      "describe.only('x', () => {})",
      "it.todo('x')",
      "test.runIf(process.env.SLOW)('x', () => {})",
      "test.skipIf(isSlow)('x', () => {})",
      "test('x', { retry: 3 }, () => {})",
      'await new Promise((resolve) => setTimeout(resolve, 100))',
      "import { setTimeout } from 'node:timers/promises'",
      'await sleep(100)',
    ],
    keeps: [
      "test('x', () => {})",
      "test.runIf(canMount)('x', () => {})",
      "const label = 'test.skip'",
      'await vi.waitFor(check)',
      'meter.retry(3)',
    ],
  },
  docstrings: {
    path: 'packages/sdk/src/orien.ts',
    breaks: [
      'export const limit = 1',
      'export function run() {}',
      'export type Run = { id: string }',
      '// A comment is none.\nexport const limit = 1',
      '/** @internal */\nexport const limit = 1',
    ],
    keeps: [
      '/** At most this many. */\nexport const limit = 1',
      'const limit = 1',
      "export * from './run.ts'",
      '/** One run. */\nexport function run(): void\nexport function run(id?: string): void {}',
      'export type Run = z.output<typeof run>',
    ],
  },
  'machine-paths': {
    breaks: [
      `see ${path('work', 'main')}`,
      `"${path('home', 'alice', 'orien')}"`,
      `${path('Users', 'alice')}`,
      `see ${['..', 'shared', 'design'].join('/')}`,
    ],
    keeps: [path('workspace', 'out.png'), './work/', path('usr', 'bin'), '/home page', path('api', 'work')],
  },
  'registry-hosts': {
    breaks: [`https:${slashes}${host('registry', 'npmjs', 'org')}/zod`, host('registry', 'yarnpkg', 'com')],
    keeps: ['the package registry', 'a registry of providers'],
  },
  'lockfile-hosts': {
    path: 'pnpm-lock.yaml',
    breaks: [
      `  resolution: {tarball: https:${slashes}example.test/a.tgz}`,
      `  specifier: git+ssh:${slashes}example.test/a`,
    ],
    keeps: ['  resolution: {integrity: sha512-abc}', `  deprecated: see https:${slashes}example.test`],
  },
}

const check = (name: string, file: string, text: string) => {
  const rule = rules.find((candidate) => candidate.name === name)
  return rule?.appliesTo(file) ? rule.check(sourceFile(file, text)).map((finding) => finding.message) : []
}

test('every rule is shown to fire', () => {
  const shown = [...Object.keys(examples), 'empty-names']
  expect(rules.map((rule) => rule.name).sort()).toEqual(shown.sort())
})

test.each(Object.entries(examples))('%s fires on what breaks it and on nothing near', (name, cases) => {
  const file = cases.path ?? shipped
  for (const text of cases.breaks) expect(check(name, file, text), text).not.toEqual([])
  for (const text of cases.keeps) expect(check(name, file, text), text).toEqual([])
})

test.each([
  ['packages/sdk/src/utils/hex.ts', true],
  ['apps/web/src/lib.ts', true],
  ['docs/common.md', true],
  ['packages/sdk/src/library.ts', false],
  ['apps/web/src/utilisation.ts', false],
])('the name of %s is empty: %s', (file, isEmpty) => {
  expect(check('empty-names', file, '').length > 0).toBe(isEmpty)
})

test.each([
  ['environment-only-in-config', 'apps/coordinator/src/config.ts', 'process.env.PORT'],
  ['clock-only-in-clock', 'packages/sdk/src/clock.ts', 'Date.now()'],
  ['clock-only-in-clock', 'apps/provider-node/src/sandbox/meter.ts', 'performance.now()'],
  ['chance-only-in-random', 'apps/coordinator/src/random.ts', 'randomBytes(16)'],
  ['sql-only-in-stores', 'apps/coordinator/src/session/store.ts', "query('select 1 from sessions')"],
  ['bare-throw', 'apps/coordinator/src/session/open.test.ts', "throw new Error('x')"],
])('%s lets %s do what it is for', (name, file, text) => {
  expect(check(name, file, text)).toEqual([])
})

test('what waits for processes may measure, but not ask for the date', () => {
  expect(check('clock-only-in-clock', 'apps/provider-node/src/sandbox/meter.ts', 'Date.now()')).not.toEqual(
    [],
  )
})

test('a group of tests may be long, a test may not', () => {
  const body = `() => {\n${lines(70, "test('y', () => {})")}\n}`
  const single = `test('x', () => {\n${lines(70, 'expect(1)')}\n})`
  const contract = `function describeStops() {\n${lines(70, "test('y', () => {})")}\n}`
  for (const group of [`describe('x', ${body})`, `describe.each(table)('x', ${body})`, contract]) {
    expect(check('function-length', 'apps/orien/src/a.test.ts', group)).toEqual([])
  }
  expect(check('function-length', 'apps/orien/src/a.test.ts', single)).not.toEqual([])
})
