import { type Admission, getProvider, micros } from '@orien/protocol'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode
let agent: TestAgent
let other: TestAgent

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 20_000_000n)
  other = await createAgent(stack, 20_000_000n)
})
afterAll(async () => {
  node.close()
  await stack.stop()
})
beforeEach(() => admit({ mode: 'open', blocked: [] }))

/** Tells the coordinator whom the node takes in, and waits until it has heard. */
async function admit(admission: Admission): Promise<void> {
  node.send({ type: 'admission', admission })
  const status = admission.mode === 'open' ? 'online' : admission.mode
  await vi.waitFor(async () => expect((await shown()).status).toBe(status))
}

const shown = () => agent.orien.call(getProvider, { params: { id: node.providerId } })
const open = (of: TestAgent) =>
  of.orien.openSession({ providerId: node.providerId, budgetMicros: micros(100_000n) })
const payerOf = ({ account }: TestAgent) => account.address.toLowerCase() as `0x${string}`
async function runOn(session: Awaited<ReturnType<typeof open>>): Promise<string> {
  const index = node.dispatches.length
  const run = session.run({ tool: 'block', args: {} })
  await node.finish(await node.nextDispatch(index), 20)
  return (await run).status
}
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => 'accepted',
    (error: { code?: string }) => error.code,
  )

test('a draining node is not found by who looks for one, is refused before a deposit, and finishes what it has', async () => {
  const session = await open(agent)
  await runOn(session)
  const unused = await open(other)
  await admit({ mode: 'draining', blocked: [] })
  expect((await agent.orien.providers({ online: true })).map(({ id }) => id)).not.toContain(node.providerId)
  expect((await agent.orien.providers({ online: false })).map(({ id }) => id)).toContain(node.providerId)
  expect(await refusal(open(other))).toBe('provider_closed')
  expect(await refusal(unused.execute({ tool: 'block', args: {} }))).toBe('provider_closed')
  expect((await unused.state()).channelStatus).toBe('none')
  expect(await runOn(session)).toBe('completed')
})

test('a killed node is sent no work at all, and no money is held for any', async () => {
  const session = await open(agent)
  await admit({ mode: 'killed', blocked: [] })
  expect(await refusal(session.execute({ tool: 'block', args: {} }))).toBe('provider_closed')
  expect((await session.state()).heldMicros).toBe(0n)
})

test('a wallet that the owner has blocked is told so before it signs a deposit; others are served', async () => {
  await admit({ mode: 'open', blocked: [payerOf(agent)] })
  await vi.waitFor(async () => expect(await refusal(open(agent))).toBe('payer_blocked'))
  expect(await refusal(open(other))).toBe('accepted')
})

test('a session too many is refused, and there is room again once one has ended', async () => {
  const maxSessions = 1
  const fresh = await createAgent(stack, 20_000_000n)
  const mine = await startScriptedNode(stack)
  const openOn = (of: TestAgent) =>
    of.orien.openSession({ providerId: mine.providerId, budgetMicros: micros(100_000n) })
  const session = await openOn(fresh)
  mine.send({ type: 'admission', admission: { mode: 'open', blocked: [], maxSessions } })
  await vi.waitFor(async () => expect(await refusal(openOn(other))).toBe('provider_full'))
  await session.end()
  await vi.waitFor(async () => expect(await refusal(openOn(other))).toBe('accepted'))
  mine.close()
})

test('the marketplace shows how busy a node is and how far its clock is off, while it is connected', async () => {
  const load = { running: 3, queued: 4, slots: 8, clockSkewMs: -120 }
  node.send({ type: 'heartbeat', at: new Date().toISOString(), mode: 'open', ...load })
  await vi.waitFor(async () => expect((await shown()).load).toEqual(load))
})
