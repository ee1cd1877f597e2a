import { join } from 'node:path'
import { channelId, type Hex, micros, splitCumulative, type UsdcMicros } from '@orien/protocol'
import {
  askNode,
  examine,
  loadClaims,
  loadEarnings,
  loadProvider,
  type OpenClaim,
  type Timing,
} from '@orien/provider-node'
import { chains, connectChain, readChannel } from '@orien/rails'
import { Orien } from '@orien/sdk'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { channelRecord, keptChannelsOf } from '../../apps/orien/src/agent/keptChannels.ts'
import { type ExitPlace, openPlace, orien } from './place.ts'

// Processes are killed and started, and the test waits for what they do by themselves.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 })

const BUDGET = 500_000n
const HOUR_MS = 3_600_000
/** As in production, but for how long a test can wait. */
const HASTY: Partial<Timing> = {
  channelFreshMs: 300,
  claimLookMs: 100,
  claimPatienceMs: 500,
  claimSilenceMs: HOUR_MS,
  heardKeptMs: 0,
}

let place: ExitPlace
let agent: ReturnType<ExitPlace['wallet']>
let gas: ReturnType<ExitPlace['wallet']>
let owner: Hex
let operator: Hex
let claims: OpenClaim[] = []

async function runOnce(client: Orien): Promise<void> {
  const terms = { providerId: place.node.providerId, budgetMicros: micros(BUDGET) }
  const session = await client.openSession(terms)
  const args = { language: 'python', code: 'print(6 * 7)' }
  await session.run({ tool: 'execute_script', args, maxCostMicros: micros(100_000n) })
}

const claimOf = (index: number): OpenClaim => {
  const claim = claims[index]
  if (!claim) throw new TypeError('there are three sessions')
  return claim
}
const shareOf = (claim: OpenClaim): UsdcMicros => splitCumulative(claim.earnedMicros).providerMicros

/** The agent asks the chain for its money. */
async function askBack({ sessionId }: OpenClaim): Promise<void> {
  const keys = ['--key-file', agent.keyFile, '--gas-key-file', gas.keyFile]
  const left = await orien(['exit', sessionId, ...keys, '--rpc-url', place.chain.rpcUrl])
  expect(left.code, left.stderr).toBe(0)
}

const until = (isSo: () => Promise<boolean>) =>
  expect.poll(isSo, { timeout: 100_000, interval: 50 }).toBe(true)

type Status = {
  selfClaim?: { fault?: { code: string }; last?: { hash: Hex; sessions: number; status: string } }
}
const status = (): Promise<Status> =>
  askNode(place.node.dataDir, { method: 'GET', path: '/status' }).catch(() => ({}))

async function phaseOf({ channel }: OpenClaim): Promise<string> {
  const client = connectChain(chains.local, place.chain.rpcUrl)
  const reading = await readChannel(client, channel.escrow, channelId(channel))
  return reading.status === 'found' ? reading.channel.phase : reading.status
}

const sentByOperator = () => place.reader.getTransactionCount({ address: operator })

beforeAll(async () => {
  place = await openPlace(HASTY)
  agent = place.wallet('agent.key')
  gas = place.wallet('gas.key')
  await place.chain.mint(agent.address, 3n * BUDGET)
  await place.chain.fund(gas.address)
  const { registration } = await loadProvider(place.node.dataDir)
  owner = registration.payout
  operator = registration.operator
  const client = new Orien({
    baseUrl: place.url,
    account: privateKeyToAccount(agent.privateKey),
    channels: channelRecord(keptChannelsOf(agent.keyFile)),
  })
  for (let index = 0; index < 3; index += 1) await runOnce(client)
  await place.removeCoordinator()
  claims = await loadClaims(place.node.dataDir)
  expect(claims).toHaveLength(3)
})
afterAll(() => place?.close())

test('a node whose operator key has no gas says so in its status and to the doctor, and sends nothing', async () => {
  await askBack(claimOf(0))
  await until(async () => (await status()).selfClaim?.fault?.code === 'insufficient_funds')
  const manifestFile = join(place.node.dataDir, 'none.yaml')
  const codes: string[] = []
  for await (const finding of examine({ dataDir: place.node.dataDir, manifestFile, systemPath: null }))
    if (finding.state !== 'ok') codes.push(finding.code)
  expect(codes).toContain('operator_without_gas')
  expect(await phaseOf(claimOf(0))).toBe('closing')
  expect(await sentByOperator()).toBe(0)
})

test('a close that is asked for while the coordinator and its database are gone is answered by the node itself', async () => {
  const [before, agentBefore] = [await place.balanceOf(owner), await place.balanceOf(agent.address)]
  await place.chain.fund(operator)
  await until(async () => (await phaseOf(claimOf(0))) === 'finalized')
  const claim = claimOf(0)
  expect(await place.balanceOf(owner)).toBe(before + shareOf(claim))
  expect(await place.balanceOf(agent.address)).toBe(agentBefore + BUDGET - claim.earnedMicros)
  await until(async () => (await status()).selfClaim?.last !== undefined)
  expect((await status()).selfClaim).toMatchObject({ last: { sessions: 1, status: 'mined' } })
  expect((await status()).selfClaim?.fault).toBeUndefined()
  // What nobody has asked for stays as it is: the coordinator may come back.
  expect(await phaseOf(claimOf(1))).toBe('open')
  expect(await sentByOperator()).toBe(1)
})

test('a node that was killed before the close was asked for is paid when it is started again', async () => {
  await place.node.kill()
  await askBack(claimOf(1))
  const before = await place.balanceOf(owner)
  place.node.launch()
  await until(async () => (await phaseOf(claimOf(1))) === 'finalized')
  expect(await place.balanceOf(owner)).toBe(before + shareOf(claimOf(1)))
  expect(await phaseOf(claimOf(2))).toBe('open')
})

test('after the configured silence, counted over a restart, what is earned is claimed though nobody asked', async () => {
  await place.node.kill()
  const before = await place.balanceOf(owner)
  place.node.launch({ ...HASTY, claimSilenceMs: 1 })
  await until(async () => (await phaseOf(claimOf(2))) === 'finalized')
  expect(await place.balanceOf(owner)).toBe(before + shareOf(claimOf(2)))
  expect(await place.balanceOf(place.chain.escrow)).toBe(0n)
  expect(await sentByOperator()).toBe(3)
})

test('what the node has claimed by itself is not claimed again, and the owner’s books call it paid', async () => {
  const shares = claims.reduce((sum, claim) => sum + shareOf(claim), 0n)
  const earned = claims.reduce((sum, { earnedMicros }) => sum + earnedMicros, 0n)
  await until(async () => (await loadEarnings(place.node.dataDir)).totals.paid === shares)
  expect(await place.balanceOf(agent.address)).toBe(3n * BUDGET - earned)
  await place.node.kill()
  const again = await orien<{ claims: { phase: string; transactions: Hex[] }[] }>([
    'claim',
    '--data-dir',
    place.node.dataDir,
  ])
  expect(again.code, again.stderr).toBe(0)
  expect(again.result.claims.flatMap(({ transactions }) => transactions)).toEqual([])
})
