import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readEnvironment } from '@orien/coordinator'
import { type LocalChain, localAccounts, startLocalChain } from '@orien/rails'
import { type Address, createPublicClient, createTestClient, http } from 'viem'
import { foundry } from 'viem/chains'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { runCommand } from '../commands/program.ts'
import { startChain } from '../compose/chain.ts'
import { pathsIn } from '../compose/dataDir.ts'
import { readSettings } from '../config.ts'

let local: LocalChain
let dataDir: string
beforeAll(async () => {
  local = await startLocalChain()
})
afterAll(() => local.stop())
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'orien-chain-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const recordPath = () => join(dataDir, 'deployment.json')
/** The local chain by settings, as an operator tells of any chain. */
const evm = () => ({
  ORIEN_CHAIN: 'evm',
  ORIEN_CHAIN_ID: '31337',
  ORIEN_RPC_URL: local.rpcUrl,
  ORIEN_TOKEN: local.usdc,
  // Blocks are mined for transactions only: one has to be enough.
  ORIEN_FINALITY: '1',
})

type Answer = { code: number; result: Record<string, unknown>; failure: Record<string, unknown> }

async function chain(name: string, args: readonly string[] = [], env: object = {}): Promise<Answer> {
  const all = ['chain', name, '--data-dir', dataDir, '--json', ...args]
  for (const [variable, value] of Object.entries({ ...evm(), ...env })) vi.stubEnv(variable, value)
  const written = { stdout: '', stderr: '' }
  const sink = (stream: 'stdout' | 'stderr') => ({
    write: (text: string | Uint8Array) => {
      written[stream] += text
    },
  })
  const code = await runCommand(all, { stdout: sink('stdout'), stderr: sink('stderr') })
  vi.unstubAllEnvs()
  const lastLine = written.stderr.trim().split('\n').at(-1) ?? ''
  const failure = lastLine.startsWith('{') ? JSON.parse(lastLine).error : {}
  return { code, result: written.stdout === '' ? {} : JSON.parse(written.stdout), failure }
}

const terms = (graceSeconds: number) => [
  ...['--platform', localAccounts.platform, '--reserve', localAccounts.reserve],
  ...['--close-grace', String(graceSeconds)],
]
const deploy = (graceSeconds: number, env: object = {}) => chain('deploy', terms(graceSeconds), env)
const record = () =>
  JSON.parse(readFileSync(recordPath(), 'utf8')) as { escrow: Address; txHash: string | null }
const codesOf = ({ result }: Answer) =>
  (result.findings as { code?: string }[]).flatMap(({ code }) => (code === undefined ? [] : [code]))

/** The relayer's key is made by the first command; then somebody has to send it gas. */
async function fundRelayer(): Promise<void> {
  const { result } = await chain('check')
  await local.fund(result.relayer as Address)
}

describe('orien chain', () => {
  test('deploys, checks, records: a coordinator of the same directory settles on what was deployed', async () => {
    await fundRelayer()
    const before = await chain('check')
    expect([before.code, codesOf(before)]).toEqual([1, ['escrow_unknown']])
    const deployed = await deploy(1_001)
    expect(deployed).toMatchObject({ code: 0, result: { chainId: 31_337, closeGraceSeconds: 1_001 } })
    expect(record()).toMatchObject({ escrow: deployed.result.escrow, txHash: deployed.result.txHash })
    const after = await chain('check')
    expect(after).toMatchObject({ code: 0, result: { ready: true, escrow: deployed.result.escrow } })
    const stackChain = await startChain({
      environment: readEnvironment(evm()),
      settings: readSettings(evm()),
      dir: pathsIn(dataDir),
      port: 0,
    })
    expect(stackChain.settings).toMatchObject({
      escrow: deployed.result.escrow,
      escrowTerms: { closeGraceSeconds: 1_001n, platform: localAccounts.platform.toLowerCase() },
    })
  })

  test('refuses to deploy twice from one directory, whatever the terms, and sends nothing', async () => {
    await fundRelayer()
    expect(await deploy(1_002)).toMatchObject({ code: 0 })
    const { result } = await chain('check')
    const reader = createPublicClient({ transport: http(local.rpcUrl) })
    const nonce = () => reader.getTransactionCount({ address: result.relayer as Address })
    const sentBefore = await nonce()
    for (const graceSeconds of [1_002, 2_002]) {
      const again = await deploy(graceSeconds)
      expect(again).toMatchObject({ code: 1, failure: { code: 'setup_failed' } })
      expect(again.failure.detail).toContain(record().escrow)
    }
    expect(await nonce()).toBe(sentBefore)
  })

  test('takes up a deployment whose record was never written: it finds the contract and sends nothing', async () => {
    await fundRelayer()
    await deploy(1_003)
    const { escrow } = record()
    rmSync(recordPath())
    expect(await deploy(1_003)).toMatchObject({ code: 0, result: { escrow, txHash: null } })
    expect(record()).toMatchObject({ escrow, txHash: null })
  })

  test('deploys nothing without gas, without the factory or on another chain, and says what to do', async () => {
    const poor = await deploy(1_004)
    expect(poor).toMatchObject({
      code: 1,
      failure: { detail: expect.stringContaining('relayer_without_gas') },
    })
    await fundRelayer()
    const other = await deploy(1_004, { ORIEN_CHAIN_ID: '1' })
    expect(other.failure.detail).toContain('wrong_chain')
    const node = createTestClient({ chain: foundry, mode: 'anvil', transport: http(local.rpcUrl) })
    const factory = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
    const code =
      '0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3'
    await node.setCode({ address: factory, bytecode: '0x' })
    const noFactory = await deploy(1_004)
    await node.setCode({ address: factory, bytecode: code })
    expect(noFactory.failure.detail).toContain(factory)
    expect(existsSync(recordPath())).toBe(false)
    expect(await deploy(1_004)).toMatchObject({ code: 0 })
  })

  test('is not taken in by a record that is damaged, of another chain, or of another contract', async () => {
    await fundRelayer()
    await deploy(1_005)
    const good = readFileSync(recordPath(), 'utf8')
    const written = async (text: string) => {
      writeFileSync(recordPath(), text)
      return chain('check')
    }
    expect(await written(good.slice(0, -10))).toMatchObject({ code: 1, failure: { code: 'unreadable' } })
    const moved = await written(JSON.stringify({ ...JSON.parse(good), chainId: 5_042 }))
    expect(moved.failure.detail).toContain('chain 5042')
    const other = await written(JSON.stringify({ ...JSON.parse(good), escrow: local.usdc.toLowerCase() }))
    expect(codesOf(other)).toEqual(['escrow_code_differs'])
    const unpaid = `0x${'ab'.repeat(20)}`
    const changed = await written(JSON.stringify({ ...JSON.parse(good), platform: unpaid }))
    expect(codesOf(changed)).toEqual(['escrow_terms_differ'])
  })

  test.each([
    ['--platform', '0x12'],
    ['--reserve', `0x${'00'.repeat(20)}`],
    ['--close-grace', '0'],
    ['--close-grace', '2592001'],
    ['--close-grace', '1e3'],
  ])('a wrong %s is wrong use: %s', async (option, text) => {
    expect(await chain('deploy', [...terms(900), option, text])).toMatchObject({
      code: 2,
      failure: { detail: expect.stringContaining(option) },
    })
  })
})
