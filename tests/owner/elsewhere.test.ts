import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fingerprintOf, type Hex, TOOLS_SCHEMA_PATH } from '@orien/protocol'
import { loadProvider } from '@orien/provider-node'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { mainFile, spawnOrien } from '../../apps/orien/src/commands/fixtures/spawnOrien.ts'
import { type Stack, startStack } from '../harness/stack.ts'

// Commands are processes that load most of ORIEN.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const KEY: Hex = `0x${'31'.repeat(32)}`
const payout = privateKeyToAccount(KEY).address.toLowerCase()

let stack: Stack
let home = ''
let env: Record<string, string> = {}
beforeAll(async () => {
  stack = await startStack()
  home = await mkdtemp(join(tmpdir(), 'orien-owner-'))
  await writeFile(join(home, 'owner.key'), `${KEY}\n`, { mode: 0o600 })
  env = { ORIEN_URL: stack.url, PATH: process.env.PATH ?? '' }
})
afterAll(async () => {
  await stack.stop()
  await rm(home, { recursive: true })
})

const init = (...words: string[]) =>
  spawnOrien(['provider', 'init', '--name', 'Rig 7', '--rate', '0.60', ...words], { env })

test('a node is made on a machine that the owner’s key never comes near, by a code', async () => {
  const dataDir = join(home, 'node')
  const words = ['provider', 'enrol', '--owner-key-file', join(home, 'owner.key'), '--yes', '--json']
  const wallet = spawn(process.execPath, [mainFile, ...words], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(wallet, 'exit')
  const lines = createInterface({ input: wallet.stdout })[Symbol.asyncIterator]()
  const { code } = JSON.parse((await lines.next()).value ?? '') as { code: string }
  const machine = await init('--code', code.toLowerCase().replace('-', ''), '--data-dir', dataDir)
  expect(machine).toMatchObject({ code: 0 })
  const { registration, coordinatorUrl } = await loadProvider(dataDir)
  expect(registration).toMatchObject({ name: 'Rig 7', payout })
  expect(coordinatorUrl).toBe(stack.url)
  expect(JSON.parse((await lines.next()).value ?? '')).toMatchObject({
    providerId: registration.providerId,
    fingerprint: fingerprintOf(registration),
  })
  expect(machine.stderr).toContain(fingerprintOf(registration))
  expect(await ended).toEqual([0, null])
  for (const name of await readdir(dataDir))
    expect(await readFile(join(dataDir, name), 'utf8'), name).not.toContain(KEY.slice(2))
  const again = await init('--code', code, '--data-dir', join(home, 'second'))
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('registration_conflict') })
})

test('nothing is signed where nobody is there to compare fingerprints', async () => {
  const { code, stderr } = await spawnOrien(
    ['provider', 'enrol', '--owner-key-file', join(home, 'owner.key')],
    { env },
  )
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') })
})

test('init writes a tools file whose first line names the schema that the coordinator serves', async () => {
  const dataDir = join(home, 'third')
  const made = await init('--owner-key-file', join(home, 'owner.key'), '--data-dir', dataDir)
  expect(made).toMatchObject({ code: 0 })
  const [first = ''] = (await readFile(join(dataDir, 'orien.tools.yaml'), 'utf8')).split('\n')
  const url = /^# yaml-language-server: \$schema=(\S+)$/.exec(first)?.[1] ?? ''
  expect(url).toBe(`${stack.url}${TOOLS_SCHEMA_PATH}`)
  expect(await (await fetch(url)).json()).toMatchObject({ title: 'ORIEN tools' })
})

test.each([
  [['--code', 'nonsense'], 2],
  [['--code', 'ZZZZ-ZZZZ'], 1],
  [['--code', 'ZZZZ-ZZZZ', '--new-owner', '/nonexistent/x'], 2],
])('init with %j makes no node', async (words, code) => {
  const dataDir = join(home, 'none')
  expect(await init(...words, '--data-dir', dataDir)).toMatchObject({ code })
  await expect(readdir(dataDir)).rejects.toMatchObject({ code: 'ENOENT' })
})
