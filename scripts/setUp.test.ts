import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { planSetUp, setUp } from './setUp.mjs'

let programs: string
const said: string[] = []
const say = (line: string) => void said.push(line)

/** A machine whose only programs are those that a test puts into one folder. */
const machine = (isRoot: boolean, platform = 'linux') => ({ platform, isRoot, searchPath: programs })
const put = (name: string, script = 'exit 0') => {
  writeFileSync(join(programs, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(programs, name), 0o755)
}
const calls = () => {
  const log = join(programs, 'calls')
  return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []
}
/** An apt-get that writes its calls down and goes on with `then`. */
const putAptGet = (then: string) => put('apt-get', `echo "$*" >> "${programs}/calls"\n${then}`)
const makeBwrap = () => `echo > "${programs}/bwrap"; /bin/chmod 755 "${programs}/bwrap"`

beforeEach(() => {
  programs = mkdtempSync(join(tmpdir(), 'orien-set-up-'))
  said.length = 0
})
afterEach(() => rmSync(programs, { recursive: true, force: true }))

test('a machine that has everything is left alone', () => {
  put('bwrap')
  putAptGet('exit 1')
  expect(setUp(machine(true), say)).toBe(true)
  expect(calls()).toEqual([])
  expect(said).toEqual([])
})

test('root on a Debian-like system gets bubblewrap installed', () => {
  putAptGet(makeBwrap())
  expect(setUp(machine(true), say)).toBe(true)
  expect(calls()).toHaveLength(1)
  expect(calls()[0]).toContain('install -y --no-install-recommends bubblewrap')
})

test('missing package lists are fetched before the second attempt', () => {
  putAptGet(
    `case "$*" in *update*) echo > "${programs}/lists" ;; *) test -e "${programs}/lists" && { ${makeBwrap()}; } ;; esac`,
  )
  expect(setUp(machine(true), say)).toBe(true)
  expect(calls().map((call) => /install|update/.exec(call)?.[0])).toEqual(['install', 'update', 'install'])
})

test('an installation that fails says why and what to run', () => {
  putAptGet('echo no space left >&2; exit 100')
  expect(setUp(machine(true), say)).toBe(false)
  expect(said.join('\n')).toContain('no space left')
  expect(said.at(-1)).toContain('Run: apt-get update && apt-get install -y bubblewrap')
})

test('an installer that reports success without a program is not believed', () => {
  putAptGet('exit 0')
  expect(setUp(machine(true), say)).toBe(false)
  expect(said.at(-1)).toContain('could not install bubblewrap')
})

test.each([
  ['apt-get', false, 'Run: sudo apt-get install -y --no-install-recommends bubblewrap'],
  ['dnf', false, 'Run: sudo dnf install -y bubblewrap'],
  ['apk', true, 'Run: apk add bubblewrap'],
  ['nothing', false, "Install bubblewrap with this system's package manager."],
])('with %s (root: %s) one line says what to run', (manager, isRoot, advice) => {
  put(manager)
  expect(setUp(machine(isRoot), say)).toBe(false)
  expect(said).toHaveLength(1)
  expect(said[0]).toContain(advice)
})

test('a system without bubblewrap is not asked for it', () => {
  expect(planSetUp(machine(false, 'darwin'))).toEqual({ kind: 'ready' })
})

test('looking at a machine that is ready takes less than 100 ms', () => {
  put('bwrap')
  const startedMs = performance.now()
  setUp(machine(true), say)
  expect(performance.now() - startedMs).toBeLessThan(100)
})
