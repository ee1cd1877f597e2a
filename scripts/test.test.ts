import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

const here = dirname(fileURLToPath(import.meta.url))
let project: string

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'orien-test-run-'))
  symlinkSync(join(here, '../node_modules'), join(project, 'node_modules'))
})
afterEach(() => rmSync(project, { recursive: true, force: true }))

const put = (name: string, ...lines: string[]) => {
  writeFileSync(
    join(project, name),
    ["import { test, expect, describe, beforeAll } from 'vitest'", ...lines].join('\n'),
  )
}
const good = "test('good', () => {})"

/** Both streams as one, the way a log shows them. */
function lastLine(...args: string[]) {
  const command = `exec "${process.execPath}" "${join(here, 'test.ts')}" "$@" 2>&1`
  const child = spawnSync('/bin/sh', ['-c', command, 'sh', ...args], {
    cwd: project,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: project },
  })
  expect(child.stdout.endsWith('\n')).toBe(true)
  const [before, last] = child.stdout.slice(0, -1).split('\n').slice(-2)
  return { code: child.status, last, ...(before?.endsWith('not run here') ? { before } : {}) }
}

test('a run without failures ends with its count and 0', () => {
  put('a.test.ts', good, good)
  expect(lastLine()).toEqual({ code: 0, last: '2 passed, 0 failed' })
})

test.each([
  ['a failed test', "test('bad', () => expect(1).toBe(2))", '1 passed, 1 failed'],
  [
    'a hook that throws',
    "describe('x', () => { beforeAll(() => { throw 1 }); test('y', () => {}) })",
    '1 passed, 1 failed',
  ],
  [
    'a rejection nobody awaits',
    "test('z', () => void Promise.reject(new Error('stray')))",
    '2 passed, 1 failed',
  ],
])('%s is counted as failed', (_name, line, last) => {
  put('a.test.ts', good, line)
  expect(lastLine()).toMatchObject({ code: 1, last })
})

test('a test that does not run here is neither, and is said', () => {
  put('a.test.ts', good, "test.runIf(false)('x', () => {})")
  expect(lastLine()).toEqual({ code: 0, last: '1 passed, 0 failed', before: '1 not run here' })
})

test('a file that does not load is counted as failed', () => {
  put('a.test.ts', good)
  put('b.test.ts', "import './missing.ts'", good)
  put('c.test.ts')
  expect(lastLine()).toEqual({ code: 1, last: '1 passed, 2 failed' })
})

test('a worker that dies is counted as failed', () => {
  put('a.test.ts', good)
  put('b.test.ts', "test('x', () => process.kill(process.pid, 'SIGKILL'))")
  expect(lastLine()).toMatchObject({ code: 1, last: expect.stringMatching(/^1 passed, [1-9]\d* failed$/) })
})

test('a run of no tests is no success', () => {
  expect(lastLine()).toEqual({ code: 1, last: '0 passed, 1 failed' })
  put('a.test.ts', good)
  expect(lastLine('nothing-of-that-name')).toEqual({ code: 1, last: '0 passed, 1 failed' })
})

test('a set-up that throws is no success', () => {
  put('a.test.ts', good)
  writeFileSync(join(project, 'setUp.ts'), "export default () => { throw new Error('no database') }")
  writeFileSync(join(project, 'vitest.config.ts'), "export default { test: { globalSetup: ['./setUp.ts'] } }")
  expect(lastLine()).toEqual({ code: 1, last: '0 passed, 1 failed' })
})
