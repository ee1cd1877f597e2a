import { actOnSession, execute, listPayments, micros, type SessionView, ZERO } from '@orien/protocol'
import { type KeptChannel, Orien } from '@orien/sdk'
import { createPublicClient, createTestClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { fiatTokenAbi } from '../../packages/contracts/src/index.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

// Whole sessions with their settlements, on machines that do other things as well.
vi.setConfig({ testTimeout: 60_000 })

const BUDGET = micros(1_000_000n)

let stack: Stack
let node: ScriptedNode
let agent: TestAgent
let orien: Orien
let kept: KeptChannel
let reader: ReturnType<typeof createPublicClient>

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 50_000_000n)
  const keep = async (channel: KeptChannel) => {
    kept = channel
  }
  orien = new Orien({ baseUrl: stack.url, account: agent.account, channels: { keep } })
  reader = createPublicClient({ transport: http(stack.chain.rpcUrl) })
})
afterAll(() => stack.stop())

const open = () => orien.openSession({ providerId: node.providerId, budgetMicros: BUDGET })

const holds = (account: `0x${string}`) =>
  reader.readContract({
    address: stack.chain.usdc,
    abi: fiatTokenAbi,
    functionName: 'balanceOf',
    args: [account],
  })

const relayerNonce = () =>
  reader.getTransactionCount({ address: privateKeyToAccount(stack.chain.relayerPrivateKey).address })

const paymentsOf = async (sessionId: SessionView['id']) =>
  (await orien.call(listPayments, { query: { sessionId, limit: 10 } })).items

test('attack: requests that are refused, to make money move; none does before a request is valid', async () => {
  const session = await open()
  const params = { id: session.id }
  const before = await holds(agent.account.address)
  const nonce = await relayerNonce()
  const refused: [object, string][] = [
    [{ tool: 'rm', args: {} }, 'tool_not_offered'],
    [{ tool: 'block', args: { note: 7 } }, 'validation_failed'],
    [{ tool: 'block', args: { more: 'x' } }, 'validation_failed'],
    [{ tool: 'block', args: {}, maxCostMicros: micros(1n) }, 'budget_exhausted'],
    [{ tool: 'block', args: {}, maxCostMicros: micros(20_000n) }, 'voucher_required'],
    [
      {
        tool: 'block',
        args: {},
        voucher: { cumulativeMicros: BUDGET, signature: `0x${'11'.repeat(64)}1b` },
      },
      'voucher_invalid',
    ],
  ]
  for (const [body, code] of refused) {
    await expect(orien.call(execute, { params, body: body as never }), code).rejects.toMatchObject({ code })
  }
  await session.end()
  expect(await session.settled()).toMatchObject({ status: 'settled', channelStatus: 'none' })
  expect(await paymentsOf(session.id)).toEqual([])
  expect(await holds(agent.account.address)).toBe(before)
  expect(await relayerNonce()).toBe(nonce)
})

test('attack: sessions opened and ended in a loop, to drain the relayer; it sends nothing for any of them', async () => {
  const nonce = await relayerNonce()
  const { address } = privateKeyToAccount(stack.chain.relayerPrivateKey)
  const gas = await reader.getBalance({ address })
  for (let loops = 0; loops < 10; loops += 1) await (await open()).end()
  expect(await relayerNonce()).toBe(nonce)
  expect(await reader.getBalance({ address })).toBe(gas)
})

test('attack: a session key is delegated by EIP-7702 once the work has begun; its vouchers are taken and paid all the same', async () => {
  const session = await open()
  const maxCostMicros = micros(20_000n)
  const first = await session.execute({ tool: 'block', args: {}, maxCostMicros })
  await node.finish(await node.dispatchOf(first.id), 40)
  await first.wait()
  // What an EIP-7702 transaction of that key leaves: a pointer to code that accepts nothing.
  const machine = createTestClient({ mode: 'anvil', chain: foundry, transport: http(stack.chain.rpcUrl) })
  const { authorizedSigner } = kept.channel
  await machine.setCode({ address: authorizedSigner, bytecode: `0xef0100${stack.chain.usdc.slice(2)}` })
  expect(await reader.getCode({ address: authorizedSigner })).toMatch(/^0xef0100/)
  const second = await session.execute({ tool: 'block', args: {}, maxCostMicros })
  await node.finish(await node.dispatchOf(second.id), 60)
  await second.wait()
  const before = await holds(node.owner.address)
  await session.end()
  const { settlement, consumedMicros } = await session.settled()
  expect(consumedMicros).toBe(1_000n)
  expect(settlement).toMatchObject({ status: 'final', providerMicros: 900n })
  expect(await holds(node.owner.address)).toBe(before + 900n)
})

test('attack: an old, an equal and a lower voucher are shown again; none of them pays for another run', async () => {
  const session = await open()
  const maxCostMicros = micros(20_000n)
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros })
  const { voucher } = await node.dispatchOf(run.id)
  await node.finish(await node.dispatchOf(run.id), 200)
  await run.wait()
  const params = { id: session.id }
  const again = orien.call(execute, { params, body: { tool: 'block', args: {}, maxCostMicros, voucher } })
  await expect(again).rejects.toMatchObject({ code: 'voucher_required' })
  const shown = await orien.call(actOnSession, { params, body: { action: 'voucher', voucher } })
  expect(shown.authorisedMicros).toBe(20_000n)
  expect(shown.heldMicros).toBe(ZERO)
  await session.end()
  await session.settled()
})

test('attack: the vouchers of a session that is over are shown to the next one; a channel belongs to one session', async () => {
  const first = await open()
  const run = await first.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  const { voucher } = await node.dispatchOf(run.id)
  await node.finish(await node.dispatchOf(run.id), 10)
  await run.wait()
  await first.end()
  await first.settled()
  const second = await open()
  const body = { tool: 'block', args: {}, maxCostMicros: micros(10_000n), voucher }
  const attempt = orien.call(execute, { params: { id: second.id }, body })
  await expect(attempt).rejects.toMatchObject({ code: 'voucher_invalid' })
  const late = orien.call(execute, { params: { id: first.id }, body })
  await expect(late).rejects.toMatchObject({ code: 'session_not_active' })
})
