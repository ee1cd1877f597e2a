import { actOnSession, execute, getExecution, micros, readReceipt } from '@orien/protocol'
import { verifyBillText } from '@orien/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deriveSessionKey } from '../../packages/sdk/src/session/sessionKey.ts'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: RealNode
let agent: TestAgent

beforeAll(async () => {
  stack = await startStack()
  node = await startRealNode(stack)
  agent = await createAgent(stack, 100_000_000n)
}, 120_000)
afterAll(async () => {
  await node.stop()
  await stack.stop()
})

/** Two seconds at 1,000 micro-USDC a millisecond, of a run that may take forty. */
const STEP = micros(2_000_000n)
const maxCostMicros = micros(40_000_000n)
const open = () =>
  agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(50_000_000n),
    stepMicros: STEP,
  })
const lasting = (seconds: number) => ({
  language: 'python',
  code: `import time; time.sleep(${seconds}); print('done')`,
})

test('a tool in its sandbox runs on over several grants, each paid while it runs, and the bill is sound', async () => {
  const session = await open()
  const run = await session.run({ tool: 'execute_script', args: lasting(5), maxCostMicros })
  expect(run).toMatchObject({ status: 'completed', stdout: 'done\n' })
  expect(run.effectiveMs).toBeGreaterThan(5_000)
  expect(run.costMicros).toBe(BigInt(run.effectiveMs) * 1_000n)
  const { receipt } = readReceipt(run.receipt ?? '') ?? {}
  expect(receipt?.holdMicros).toBeGreaterThanOrEqual(3n * STEP)
  // Never more than one step ahead of what was used.
  expect((await session.state()).authorisedMicros).toBeLessThan(run.costMicros + 2n * STEP)
  expect(await verifyBillText(await session.bill())).toMatchObject({ verdict: 'consistent' })
}, 120_000)

test('a tool whose agent answers no request is dead at the end of its grant, and paid up to there', async () => {
  const session = await open()
  const { channel } = await session.state()
  if (!channel) throw new TypeError('a session that was started has a channel')
  const key = await deriveSessionKey(agent.account, session.id)
  const params = { id: session.id }
  const body = {
    tool: 'execute_script',
    args: lasting(30),
    maxCostMicros,
    voucher: key.signVoucher(channel, STEP),
  }
  const { id } = await agent.orien.call(execute, { params, body })
  const look = () => agent.orien.call(getExecution, { params: { id } })
  await expect.poll(async () => (await look()).status, { timeout: 60_000 }).toBe('failed')
  const ended = await look()
  expect(ended).toMatchObject({ reason: 'authorization_expired', effectiveMs: 2_000, costMicros: STEP })
  // A voucher that comes after the end is taken, and pays for nothing that was not done.
  const voucher = key.signVoucher(channel, micros(2n * STEP))
  await agent.orien.call(actOnSession, { params, body: { action: 'voucher', voucher } })
  expect((await session.state()).consumedMicros).toBe(STEP)
}, 120_000)
