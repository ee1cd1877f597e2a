import { rmSync } from 'node:fs'
import { createPool } from '@orien/coordinator'
import { micros } from '@orien/protocol'
import { chains, connectChain, signerFromPrivateKey } from '@orien/rails'
import { type KeptChannel, Orien } from '@orien/sdk'
import { createTestClient, http } from 'viem'
import { generatePrivateKey } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { spawnOrien } from '../../apps/orien/src/commands/fixtures/spawnOrien.ts'
import { exitChannel } from '../../apps/orien/src/exits/exitChannel.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack } from '../harness/stack.ts'

// Each audit is a command in a process of its own.
vi.setConfig({ testTimeout: 180_000 })

const BUDGET = 1_000_000n

let stack: Stack
let node: ScriptedNode
let kept: KeptChannel
let agentKey: `0x${string}`

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
  const { account, privateKey } = await createAgent(stack, 5_000_000n)
  agentKey = privateKey
  const keep = async (channel: KeptChannel) => {
    kept = channel
  }
  const orien = new Orien({ baseUrl: stack.url, account, channels: { keep } })
  const open = async () => {
    const { providerId } = node
    const session = await orien.openSession({ providerId, budgetMicros: micros(BUDGET) })
    const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
    await node.finish(await node.dispatchOf(run.id), 50)
    await run.wait()
    return session
  }
  const settled = await open()
  await settled.end()
  await settled.settled()
  await open()
  await stack.coordinator.stop()
})
// The coordinator is stopped before: it must not mend what is broken here.
afterAll(async () => {
  await stack.database.drop()
  await stack.chain.stop()
  rmSync(stack.dataDir, { recursive: true, force: true })
})

type Audit = {
  ok: boolean
  channels: number
  checks: { check: string; violations: number; example: string | null }[]
}

async function audit() {
  const env = { DATABASE_URL: stack.database.url, ORIEN_RPC_URL: stack.chain.rpcUrl }
  const { code, stdout, stderr } = await spawnOrien(['reconcile', '--json'], { env })
  expect(stdout, stderr).not.toBe('')
  const result = JSON.parse(stdout) as Audit
  return { code, ...result, found: result.checks.filter(({ violations }) => violations > 0) }
}

async function change(sql: string): Promise<void> {
  const pool = createPool({ url: stack.database.url, connections: 1 })
  await pool.query(sql).finally(() => pool.end())
}

test('an open and a settled channel are on the chain as the ledger has them', async () => {
  expect(await audit()).toMatchObject({ code: 0, ok: true, channels: 2, found: [] })
})

test('a deposit in the ledger that the chain has not is a drift, by one micro-USDC, and named', async () => {
  const { sessionId } = kept
  const more = (by: bigint) =>
    `update ledger_transfers set amounts_micros = array[amounts_micros[1] - ${by}, amounts_micros[2] + ${by}]
      where session_id = '${sessionId}' and kind = 'deposit'`
  await change(more(1n))
  const drifted = await audit()
  expect(drifted).toMatchObject({ code: 1, ok: false })
  // Where the entry had been folded into its balance before, that is told beside it.
  expect(drifted.found).toContainEqual({
    check: 'every channel holds the deposit that the ledger has of it',
    violations: 1,
    example: `${sessionId}: the chain says ${BUDGET}, the ledger ${BUDGET + 1n}`,
  })
  await change(more(-1n))
  expect(await audit()).toMatchObject({ code: 0 })
})

test('a channel that was left through the contract alone is a drift, and named', async () => {
  const profile = chains.local
  const gasKey = generatePrivateKey()
  const gasPayer = signerFromPrivateKey(gasKey)
  await stack.chain.fund(gasPayer.address)
  const chain = { client: connectChain(profile, stack.chain.rpcUrl), profile, gasPayer }
  expect(await exitChannel(chain, kept.channel, agentKey)).toMatchObject({ phase: 'closing' })
  const clock = createTestClient({ mode: 'anvil', chain: foundry, transport: http(stack.chain.rpcUrl) })
  await clock.increaseTime({ seconds: 900 })
  expect(await exitChannel(chain, kept.channel, agentKey)).toMatchObject({ phase: 'closed' })
  const drifted = await audit()
  expect(drifted).toMatchObject({ code: 1, ok: false })
  expect(drifted.found).toMatchObject([
    {
      check: 'a channel is closed on the chain when it is in the ledger, and not before',
      example: `${kept.sessionId} is finalized on the chain`,
    },
    { check: 'the escrow holds at least what the ledger has in open channels' },
  ])
})
