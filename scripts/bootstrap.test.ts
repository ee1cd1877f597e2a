import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

type Ended = { code: number | null; stdout: string; stderr: string }

const here = dirname(fileURLToPath(import.meta.url))
let project: string

const put = (path: string, text: string) => {
  mkdirSync(dirname(join(project, path)), { recursive: true })
  writeFileSync(join(project, path), text)
  chmodSync(join(project, path), 0o755)
}

const putNpx = () =>
  put(
    'programs/npx',
    `#!/bin/sh\ncd "${project}"\necho "$*" >> calls\necho noise\n/bin/mkdir -p node_modules/.bin\n/bin/ln -sf "${process.execPath}" node_modules/.bin/node\n`,
  )

/** A project whose `npx` notes its calls instead of reaching for a network. */
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'orien-bootstrap-'))
  for (const path of ['package.json', 'tests/package.json']) put(path, '{}')
  for (const path of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) put(path, '')
  mkdirSync(join(project, 'scripts'))
  for (const name of ['bootstrap.mjs', 'packages.mjs', 'runToEnd.mjs', 'setUp.mjs'])
    copyFileSync(join(here, name), join(project, 'scripts', name))
  put('programs/bwrap', '#!/bin/sh\n')
  putNpx()
})
afterEach(() => rmSync(project, { recursive: true, force: true }))

const installs = () => {
  const log = join(project, 'calls')
  return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').length : 0
}

const launcher = () => join(project, 'scripts/bootstrap.mjs')
const environment = () => ({ PATH: join(project, 'programs'), HOME: project, TMPDIR: project })

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [launcher(), ...args], { env: environment(), stdio: 'pipe' })
}

function ended(child: ChildProcess): Promise<Ended> {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk) => (stdout += chunk))
  child.stderr?.on('data', (chunk) => (stderr += chunk))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
}

const run = (...args: string[]) => ended(start(...args))

test('stdout belongs to the command, however much was installed', async () => {
  const { code, stdout, stderr } = await run('node', '-p', '40+2')
  expect({ code, stdout }).toEqual({ code: 0, stdout: '42\n' })
  expect(stderr).toContain('noise')
})

test('packages are installed once, and again when the lockfile or a manifest changed', async () => {
  await run('node', '-v')
  await run('node', '-v')
  expect(installs()).toBe(1)
  put('pnpm-lock.yaml', 'changed')
  await run('node', '-v')
  expect(installs()).toBe(2)
  put('packages/new/package.json', '{}')
  await run('node', '-v')
  expect(installs()).toBe(3)
})

test('an installation that fails is not remembered as done', async () => {
  put('programs/npx', `#!/bin/sh\necho "$*" >> "${project}/calls"\nexit 7\n`)
  expect((await run('node', '-v')).code).toBe(1)
  const second = await run('node', '-v')
  expect(second.code).toBe(1)
  expect(second.stderr).toContain('installing packages failed')
  expect(installs()).toBe(2)
})

test('commands that start at once on a fresh clone install once, one after the other', async () => {
  const all = await Promise.all([run('node', '-p', '1'), run('node', '-p', '2'), run('node', '-p', '3')])
  expect(all.map(({ code, stdout }) => `${code} ${stdout}`)).toEqual(['0 1\n', '0 2\n', '0 3\n'])
  expect(installs()).toBe(1)
})

test('the lock of an installer that was killed stops nobody', async () => {
  put('programs/npx', '#!/bin/sh\nkill -9 $PPID\n')
  expect((await run('node', '-v')).code).toBe(null)
  putNpx()
  expect(await run('node', '-p', '1')).toMatchObject({ code: 0, stdout: '1\n' })
})

test.each([
  [
    'a system without a Node of its own',
    "'arch', { value: 'arm64' }",
    'on linux-arm64 this project needs Node 22.18',
  ],
  ['Windows', "'platform', { value: 'win32' }", 'Windows is not supported'],
  ['an old Node', "'arch', { value: process.arch }", 'needs Node 20 or newer, this is 18.20.1'],
])('%s is told in one line what is needed', async (_name, property, line) => {
  const version = line.includes('18.20.1') ? '18.20.1' : '20.19.0'
  const pretend = `Object.defineProperty(process, ${property}); Object.defineProperty(process, 'versions', { value: { node: '${version}' } })`
  const args = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, launcher(), 'node', '-v']
  const { code, stderr } = await ended(spawn(process.execPath, args, { env: environment(), stdio: 'pipe' }))
  expect(code).toBe(1)
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).toContain(line)
})

test('arguments and the exit code pass through', async () => {
  const { code, stdout } = await run(
    'node',
    '-e',
    'console.log(process.argv.slice(1).join()); process.exit(7)',
    'a b',
    '--json',
  )
  expect({ code, stdout }).toEqual({ code: 7, stdout: 'a b,--json\n' })
})

test("the project's programs come first on the search path", async () => {
  const { stdout } = await run('node', '-p', 'process.env.PATH')
  expect(stdout.startsWith(join(project, 'node_modules/.bin'))).toBe(true)
})

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s reaches the command, which ends in its own way',
  async (signal) => {
    const program = `process.on('${signal}', () => { console.log('clean'); process.exit(3) }); setInterval(() => {}, 1000); console.log('up')`
    const child = start('node', '-e', program)
    const end = ended(child)
    await new Promise((resolve) => child.stdout?.once('data', resolve))
    child.kill(signal)
    expect(await end).toMatchObject({ code: 3, stdout: 'up\nclean\n' })
  },
)

test('a command does not outlive an npm that is killed outright', async () => {
  const program =
    "process.on('SIGTERM', () => { console.log('clean'); process.exit(0) }); setInterval(() => {}, 1000); console.log('up')"
  await run('node', '-v')
  const launch = `require('node:child_process').spawn(process.execPath, ${JSON.stringify([launcher(), 'node', '-e', program])}, { stdio: 'inherit' })`
  const npm = spawn(process.execPath, ['-e', launch], {
    env: { ...environment(), npm_lifecycle_event: 'start' },
  })
  const end = ended(npm)
  await new Promise((resolve) => npm.stdout.once('data', resolve))
  npm.kill('SIGKILL')
  expect(await end).toMatchObject({ stdout: 'up\nclean\n' })
})

test('a command that a signal ends is reported as the shell would', async () => {
  const { code } = await run('node', '-e', "process.kill(process.pid, 'SIGKILL')")
  expect(code).toBe(128 + 9)
})

test('a missing system program stops the command with one line, unless only packages are needed', async () => {
  rmSync(join(project, 'programs/bwrap'))
  const stopped = await run('node', '-p', '1')
  expect(stopped).toMatchObject({ code: 1, stdout: '' })
  expect(stopped.stderr).toContain('missing bubblewrap')
  expect((await run('--packages-only', 'node', '-p', '1')).stdout).toBe('1\n')
})

test('a command that does not exist is named', async () => {
  const { code, stderr } = await run('no-such-program')
  expect(code).toBe(1)
  expect(stderr).toContain('could not start no-such-program')
})
