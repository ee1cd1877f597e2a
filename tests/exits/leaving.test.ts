import { copyFileSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Hex } from '@orien/protocol'
import { micros, splitCumulative } from '@orien/protocol'
import { loadClaims, loadProvider } from '@orien/provider-node'
import { type KeptChannel, Orien } from '@orien/sdk'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { channelRecord, keptChannelsOf, readKeptChannel } from '../../apps/orien/src/agent/keptChannels.ts'
import { startRpcProxy } from '../harness/rpcProxy.ts'
import { type ExitPlace, openPlace, orien } from './place.ts'

// Every step is a command in a process of its own.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 })

const BUDGET = 500_000n
const MINTED = 3_000_000n
const GRACE_SECONDS = 900

type Exits = {
  channels: {
    sessionId: string | null
    phase: string
    refundMicros: string
    settledMicros: string
    withdrawableAt: number | null
    transactions: Hex[]
  }[]
}
type Claims = {
  claims: {
    sessionId: string
    phase: string
    earnedMicros: string
    paidMicros: string
    transactions: Hex[]
  }[]
}

let place: ExitPlace
let agent: ReturnType<ExitPlace['wallet']>
let gas: ReturnType<ExitPlace['wallet']>
let owner: Hex
/** What each session's receipts sum to. */
const earned = new Map<string, bigint>()
const sessions: string[] = []
let rpc: string[] = []

/** The commands of an agent's day. */
async function sessionByCommands(): Promise<string> {
  const agentArgs = ['--coordinator', place.url, '--key-file', agent.keyFile]
  const terms = [place.node.providerId, '--budget', '0.5']
  const opened = await orien<{ id: string }>(['session', 'open', ...terms, ...agentArgs])
  const { id } = opened.result
  const python = ['--arg', 'language=python', '--arg', 'code=print(6 * 7)']
  const run = await orien(['run', id, 'execute_script', ...python, '--max-cost', '0.1', ...agentArgs])
  expect(run.code, run.stderr).toBe(0)
  return id
}

/** The same in this process, with the files that the commands keep. */
async function sessionInProcess(): Promise<string> {
  const client = new Orien({
    baseUrl: place.url,
    account: privateKeyToAccount(agent.privateKey),
    channels: channelRecord(keptChannelsOf(agent.keyFile)),
  })
  const session = await client.openSession({
    providerId: place.node.providerId,
    budgetMicros: micros(BUDGET),
  })
  const args = { language: 'python', code: 'print(6 * 7)' }
  await session.run({ tool: 'execute_script', args, maxCostMicros: micros(100_000n) })
  writeFileSync(join(place.dir, `${session.id}.bill`), await session.bill())
  return session.id
}

const ofSession = <T extends { sessionId: string | null }>(
  items: readonly T[] | undefined,
  id: string | undefined,
) => items?.find(({ sessionId }) => sessionId === id)

beforeAll(async () => {
  place = await openPlace()
  agent = place.wallet('agent.key')
  gas = place.wallet('gas.key')
  await place.chain.mint(agent.address, MINTED)
  await place.chain.fund(gas.address)
  sessions.push(await sessionByCommands())
  for (let index = 1; index < 4; index += 1) sessions.push(await sessionInProcess())
  await place.removeCoordinator()
  await place.node.kill()
  owner = (await loadProvider(place.node.dataDir)).registration.payout
  for (const { sessionId, earnedMicros } of await loadClaims(place.node.dataDir))
    earned.set(sessionId, earnedMicros)
  expect([...earned.keys()].sort()).toEqual([...sessions].sort())
  rpc = ['--rpc-url', place.chain.rpcUrl]
})
afterAll(() => place?.close())

test('what an agent needs to leave was kept before its deposit was sent, for nobody else to read', () => {
  for (const id of sessions) {
    expect(statSync(join(`${agent.keyFile}.channels`, `${id}.json`)).mode & 0o777).toBe(0o600)
  }
  expect(statSync(`${agent.keyFile}.channels`).mode & 0o777).toBe(0o700)
})

test('an agent without gas is told who has to pay it, and nothing is sent', async () => {
  const left = await orien<Exits>(['exit', sessions[0] ?? '', '--key-file', agent.keyFile, ...rpc])
  expect(left).toMatchObject({ code: 1, error: 'insufficient_funds' })
  expect(left.stderr).toContain('--gas-key-file')
})

test('a key that is neither payer nor session key is refused before anything is sent', async () => {
  const stranger = place.wallet('stranger.key')
  const file = join(`${agent.keyFile}.channels`, `${sessions[0]}.json`)
  const left = await orien([
    'exit',
    file,
    '--key-file',
    stranger.keyFile,
    '--gas-key-file',
    gas.keyFile,
    ...rpc,
  ])
  expect(left).toMatchObject({ code: 1, error: 'forbidden' })
  const bill = join(place.dir, `${sessions[1]}.bill`)
  const claimed = await orien([
    'claim',
    bill,
    '--key-file',
    stranger.keyFile,
    '--gas-key-file',
    gas.keyFile,
    ...rpc,
  ])
  expect(claimed).toMatchObject({ code: 1, error: 'forbidden' })
  const { result } = await orien<Exits>(['exit', file, '--status', ...rpc])
  expect(result.channels).toMatchObject([{ phase: 'open' }])
})

test('an endpoint of another chain, a dead one and none at all are told apart, and nothing is sent', async () => {
  const proxy = await startRpcProxy()
  proxy.to = place.chain.rpcUrl
  const ask = (url: string) =>
    orien(['exit', sessions[0] ?? '', '--key-file', agent.keyFile, '--rpc-url', url])
  proxy.fault = 'other_chain'
  const other = await ask(proxy.url)
  expect(other).toMatchObject({ code: 1, error: 'chain_unavailable' })
  expect(other.stderr).toContain('not 31337')
  proxy.fault = 'away'
  expect(await ask(proxy.url)).toMatchObject({ code: 1, error: 'chain_unavailable' })
  proxy.close()
  expect(await orien(['exit', '--key-file', agent.keyFile])).toMatchObject({
    code: 2,
    error: 'validation_failed',
  })
})

test('an agent whose provider is gone takes all of its deposit back after the grace period, once', async () => {
  const [id = ''] = sessions
  const before = await place.balanceOf(agent.address)
  const leave = () =>
    orien<Exits>(['exit', id, '--key-file', agent.keyFile, '--gas-key-file', gas.keyFile, ...rpc])
  const asked = await leave()
  expect(asked.code, asked.stderr).toBe(0)
  const [pending] = asked.result.channels
  expect(pending).toMatchObject({ phase: 'closing', refundMicros: `${BUDGET}` })
  expect(pending?.transactions).toHaveLength(1)
  // Repeated while the close is pending: nothing moves, and the date stays.
  expect((await leave()).result.channels).toMatchObject([
    { phase: 'closing', transactions: [], withdrawableAt: pending?.withdrawableAt },
  ])
  await place.pass(GRACE_SECONDS)
  const withdrawn = await leave()
  expect(withdrawn.result.channels).toMatchObject([
    { phase: 'closed', refundMicros: `${BUDGET}`, settledMicros: '0' },
  ])
  expect(await place.balanceOf(agent.address)).toBe(before + BUDGET)
  const again = await leave()
  expect(again).toMatchObject({ code: 0, result: { channels: [{ phase: 'closed', transactions: [] }] } })
  expect(await place.balanceOf(agent.address)).toBe(before + BUDGET)
})

test('a provider that has only a bill and its operator key is paid for its receipts, and the agent gets the rest', async () => {
  const [, id = ''] = sessions
  const [agentBefore, ownerBefore] = [await place.balanceOf(agent.address), await place.balanceOf(owner)]
  const key = join(place.dir, 'copied-operator.key')
  copyFileSync(join(place.node.dataDir, 'operator.key'), key)
  const bill = join(place.dir, `${id}.bill`)
  const claim = () => orien<Claims>(['claim', bill, '--key-file', key, '--gas-key-file', gas.keyFile, ...rpc])
  const claimed = await claim()
  expect(claimed.code, claimed.stderr).toBe(0)
  const cost = earned.get(id) ?? 0n
  const { providerMicros } = splitCumulative(micros(cost))
  expect(claimed.result.claims).toMatchObject([{ phase: 'closed', paidMicros: `${providerMicros}` }])
  expect(await place.balanceOf(owner)).toBe(ownerBefore + providerMicros)
  expect(await place.balanceOf(agent.address)).toBe(agentBefore + BUDGET - cost)
  expect((await claim()).result.claims).toMatchObject([{ phase: 'closed', transactions: [] }])
  expect(await place.balanceOf(owner)).toBe(ownerBefore + providerMicros)
})

test('a provider claims from its journal all that is left, also what an agent has asked back and not withdrawn', async () => {
  const [lost = '', paid = '', asked = '', open = ''] = sessions
  const left = await orien<Exits>([
    'exit',
    asked,
    '--key-file',
    agent.keyFile,
    '--gas-key-file',
    gas.keyFile,
    ...rpc,
  ])
  expect(left.result.channels).toMatchObject([{ phase: 'closing' }])
  const [agentBefore, ownerBefore] = [await place.balanceOf(agent.address), await place.balanceOf(owner)]
  const looked = await orien<Claims>(['claim', '--status', '--data-dir', place.node.dataDir])
  expect(ofSession(looked.result.claims, asked)).toMatchObject({ phase: 'closing', paidMicros: '0' })
  const claimed = await orien<Claims>([
    'claim',
    '--data-dir',
    place.node.dataDir,
    '--gas-key-file',
    gas.keyFile,
  ])
  // One was withdrawn before: it says so by its exit code, and keeps back none of the others.
  expect(claimed.code).toBe(1)
  const { claims } = claimed.result
  expect(ofSession(claims, lost)).toMatchObject({ phase: 'closed', paidMicros: '0', transactions: [] })
  expect(ofSession(claims, paid)).toMatchObject({ phase: 'closed', transactions: [] })
  const costs = [asked, open].map((id) => micros(earned.get(id) ?? 0n))
  const shares = costs.map((cost) => splitCumulative(cost).providerMicros)
  expect(ofSession(claims, asked)).toMatchObject({ phase: 'closed', paidMicros: `${shares[0]}` })
  expect(ofSession(claims, open)).toMatchObject({ phase: 'closed', paidMicros: `${shares[1]}` })
  // One transaction closes all that is left, and it is said before it is sent.
  expect(ofSession(claims, asked)?.transactions).toHaveLength(1)
  expect(ofSession(claims, open)?.transactions).toEqual(ofSession(claims, asked)?.transactions)
  expect(claimed.stderr).toContain('closing 2 sessions in one transaction')
  expect(await place.balanceOf(owner)).toBe(ownerBefore + (shares[0] ?? 0n) + (shares[1] ?? 0n))
  expect(await place.balanceOf(agent.address)).toBe(
    agentBefore + 2n * BUDGET - (costs[0] ?? 0n) - (costs[1] ?? 0n),
  )
})

test('an agent that has nothing but its key finds every channel of its wallet on the chain', async () => {
  const dir = join(place.dir, 'empty')
  mkdirSync(dir)
  const keyFile = join(dir, 'agent.key')
  writeFileSync(keyFile, agent.privateKey, { mode: 0o600 })
  const { escrow } = place.chain
  const found = await orien<Exits>(['exit', '--escrow', escrow, '--status', '--key-file', keyFile, ...rpc])
  expect(found.code, found.stderr).toBe(0)
  expect(found.result.channels.map(({ phase }) => phase)).toEqual(['closed', 'closed', 'closed', 'closed'])
  const none = await orien(['exit', '--key-file', keyFile, ...rpc])
  expect(none).toMatchObject({ code: 1, error: 'not_found' })
})

test('of all that is kept, what is closed and what was never deposited is no failure', async () => {
  const channel = await readKeptChannel(join(`${agent.keyFile}.channels`, `${sessions[0]}.json`))
  const sessionId = `ses_${'0'.repeat(26)}` as KeptChannel['sessionId']
  const never = { ...channel.channel, salt: `0x${'77'.repeat(32)}` as Hex }
  await channelRecord(keptChannelsOf(agent.keyFile)).keep({ sessionId, channel: never })
  const all = await orien<Exits>(['exit', '--key-file', agent.keyFile, ...rpc])
  expect(all.code, all.stderr).toBe(0)
  expect(all.result.channels.filter((one) => one.phase === 'closed')).toHaveLength(sessions.length)
  expect(all.stderr).toContain('5 sessions closed or never deposited')
})

test('when both have left, the escrow holds nothing and every micro-USDC is where the receipts say', async () => {
  const { escrow, platform, reserve } = place.chain
  const [lost = ''] = sessions
  const costs = sessions.filter((id) => id !== lost).map((id) => micros(earned.get(id) ?? 0n))
  const sum = (amounts: readonly bigint[]) => amounts.reduce((total, amount) => total + amount, 0n)
  const shares = costs.map(splitCumulative)
  expect(await place.balanceOf(escrow)).toBe(0n)
  expect(await place.balanceOf(agent.address)).toBe(MINTED - sum(costs))
  expect(await place.balanceOf(owner)).toBe(sum(shares.map(({ providerMicros }) => providerMicros)))
  expect(await place.balanceOf(platform)).toBe(sum(shares.map(({ platformMicros }) => platformMicros)))
  expect(await place.balanceOf(reserve)).toBe(sum(shares.map(({ reserveMicros }) => reserveMicros)))
})
