import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { recordModulesFile, spawnOrien } from './commands/fixtures/spawnOrien.ts'

// Every test starts processes that load most of ORIEN.
vi.setConfig({ testTimeout: 60_000 })

const dir = mkdtempSync(join(tmpdir(), 'orien-command-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const billFile = fileURLToPath(new URL('./agent/fixtures/recordedBill.txt', import.meta.url))

const COMMANDS = [
  'up',
  'demo',
  'mission',
  'reconcile',
  'refunds',
  'chain',
  'chain check',
  'chain deploy',
  'providers',
  'session',
  'session open',
  'session show',
  'session upload',
  'session download',
  'session files',
  'session end',
  'run',
  'bill',
  'verify',
  'wallet',
  'exit',
  'claim',
  'provider',
  'provider init',
  'provider enrol',
  'provider start',
  'provider status',
  'provider doctor',
  'provider earnings',
  'provider reload',
  'provider drain',
  'provider stop',
  'provider kill',
  'provider resume',
  'provider limits',
  'provider block',
  'provider unblock',
  'provider blocks',
  'provider service',
  'provider service install',
  'provider service uninstall',
  'provider service status',
  'provider tools',
  'provider tools check',
  'provider tools propose',
  'provider tools schema',
  'provider import',
]

/** What a command loads, whatever it says. */
async function loadedBy(args: readonly string[]) {
  const record = join(dir, 'modules.txt')
  const { code } = await spawnOrien(args, {
    env: { RECORD_MODULES: record },
    nodeArgs: ['--import', recordModulesFile],
  })
  const loaded = readFileSync(record, 'utf8').split('\n')
  const packages = loaded.flatMap((url) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? [])
  return { code, loaded, packages: [...new Set(packages)].sort() }
}

test('on a Node that runs no TypeScript a command runs on the one that the project brings, or says what it needs', async () => {
  const bundled = fileURLToPath(new URL('../../../node_modules/.bin/node', import.meta.url))
  const ended = await spawnOrien(['verify', join(dir, 'nowhere.json')], {
    nodeArgs: ['--no-experimental-strip-types'],
  })
  expect(ended).toMatchObject(
    existsSync(bundled)
      ? { code: 1, stderr: expect.stringContaining('nowhere.json') }
      : { code: 1, stderr: expect.stringContaining('Node 22.18') },
  )
})

describe('help', () => {
  test.each(COMMANDS)('of `orien %s` has an example and ends with 0', async (command) => {
    const { code, stdout, stderr } = await spawnOrien([...command.split(' '), '--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/\nExample:\n {2}\S*.*orien /)
  })

  test('names every command', async () => {
    const { stdout } = await spawnOrien(['--help'])
    for (const command of COMMANDS)
      expect(stdout).toMatch(new RegExp(`^ {2}${command.split(' ')[0]}\\b`, 'm'))
  })

  test('loads nothing that is heavy', async () => {
    const { code, loaded, packages } = await loadedBy(['--help'])
    expect({ code, packages }).toEqual({ code: 0, packages: ['commander', 'picocolors'] })
    expect(loaded.filter((url) => /\/(packages|apps\/(?!orien\/))/.test(url))).toEqual([])
  })
})

describe('a command of agents that pays for nothing', () => {
  test('loads no cryptography but hashes, and one language of Zod', async () => {
    const { loaded, packages } = await loadedBy(['providers', '--coordinator', 'http://127.0.0.1:1'])
    expect(packages).toEqual(['@noble/hashes', 'commander', 'picocolors', 'zod'])
    const languages = loaded.filter((url) => /\/zod\/.*\/locales\//.test(url))
    expect(languages.map((url) => url.split('/').at(-1))).toEqual(['en.js'])
    // Each schema that is loaded is built, whether it is used or not.
    expect(loaded.filter((url) => /protocol\/src\/(index|views|nodeMessages|bill)\.ts/.test(url))).toEqual([])
  })
})

describe('wrong use ends with 2 and says how it is done right', () => {
  test.each([
    [[], /Usage: orien/],
    [['nonsense'], /unknown command/],
    [['up', '--port', 'x'], /must be a port/],
    [['up', '--port', '70000'], /must be a port/],
    [['up', '--mission', '--no-node'], /Leave --no-node out/],
    [['providers', '--colour'], /unknown option/],
    [['providers', '--max-rate', '0.1234567'], /at most six decimals/],
    [['providers', '--tool', 'Not A Tool'], /is not a tool's name/],
    [['session', 'open', 'prv_x'], /required option '--budget/],
    [['session', 'end', 'ses_x'], /not a session's id/],
    [['run', 'prv_x'], /missing required argument 'tool'/],
    [['run', 'prv_x', 'execute_script'], /needs a --budget/],
    [['run', 'prv_x', 'execute_script', '--budget', '1', '--file', '/nonexistent/a'], /cannot be read/],
    [['bill', 'x'], /not a session's id/],
    [['provider', 'init', '--data-dir', '/nonexistent/x'], /--name, --rate and one of/],
  ])('orien %j', async (args, said) => {
    const { code, stdout, stderr } = await spawnOrien(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(said)
  })
})

describe('a failure ends with 1', () => {
  const nobody = { ORIEN_URL: 'http://127.0.0.1:9' }

  test('with code, sentence and hint on stderr, and without a stack', async () => {
    const { code, stdout, stderr } = await spawnOrien(['verify', '/nonexistent/bill.json'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toBe('unreadable: The file /nonexistent/bill.json cannot be read\nSee the detail.\n')
  })

  test('with a stack and its cause when that is asked for', async () => {
    const { stderr } = await spawnOrien(['verify', '/nonexistent/bill.json'], { env: { ORIEN_DEBUG: '1' } })
    expect(stderr).toMatch(/OrienError: The file[\s\S]*\n {4}at [\s\S]*caused by Error: ENOENT/)
  })

  test('as one line of JSON when results are', async () => {
    const { code, stdout, stderr } = await spawnOrien(['provider', 'status', '--json', '--data-dir', dir], {
      env: nobody,
    })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'setup_failed' } })
  })

  test('on a port that is taken, before anything is started', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const dataDir = join(dir, 'taken')
    const { code, stderr } = await spawnOrien(['up', '--port', String(port), '--data-dir', dataDir])
    server.close()
    expect(code).toBe(1)
    expect(stderr).toContain(
      `setup_failed: Port ${port} of this machine is taken or not allowed\nStop what uses it`,
    )
  })
})

describe('a bill', () => {
  test('that is sound is consistent without a chain', async () => {
    const { code, stdout, stderr } = await spawnOrien(['verify', billFile])
    expect({ code, verdict: stdout.trimEnd().split('\n').at(-1) }).toEqual({ code: 0, verdict: 'consistent' })
    expect(stderr).toMatch(/--rpc-url/)
  })

  test('can come from another program', async () => {
    const stdin = readFileSync(billFile, 'utf8')
    const { code, stdout } = await spawnOrien(['verify', '-', '--json'], { stdin })
    expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 0, verdict: 'consistent' })
  })

  test('that was altered is rejected, and the first line that fails is named', async () => {
    const altered = join(dir, 'altered.json')
    const text = readFileSync(billFile, 'utf8')
    const consumed = /"consumedMicros":"(\d+)"/.exec(text)?.[1] ?? ''
    writeFileSync(altered, text.replace(`"consumedMicros":"${consumed}"`, '"consumedMicros":"1"'))
    const { code, stdout } = await spawnOrien(['verify', altered])
    expect({ code, verdict: stdout.trimEnd().split('\n').at(-1) }).toEqual({
      code: 1,
      verdict: `rejected: consumedMicros must be ${consumed}, the sum of the receipts`,
    })
  })

  test('of another coordinator or contract than the expected one is rejected', async () => {
    const key = await spawnOrien(['verify', billFile, '--json', '--coordinator-key', 'A'.repeat(43)])
    const contract = await spawnOrien(['verify', billFile, '--json', '--escrow', `0x${'1'.repeat(40)}`])
    expect([key.code, JSON.parse(key.stdout).failure.line]).toEqual([1, 'coordinatorKey'])
    expect([contract.code, JSON.parse(contract.stdout).failure.line]).toEqual([1, 'channel.escrow'])
  })

  test('is not called verified when its chain does not answer', async () => {
    const { code, stderr } = await spawnOrien(['verify', billFile, '--rpc-url', 'http://127.0.0.1:9'])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/^chain_unavailable: /) })
  })
})
