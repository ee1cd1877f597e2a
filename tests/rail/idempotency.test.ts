import { execute, micros, OrienError, openSession } from '@orien/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode
let agent: TestAgent

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 10_000_000n)
})
afterAll(() => stack.stop())

test('the same Idempotency-Key sent 100 times at once runs and charges once', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(2_000_000n),
  })
  const before = node.dispatches.length
  const runs = await Promise.all(
    Array.from({ length: 100 }, () =>
      session.execute({ tool: 'block', args: { note: 'once' }, idempotencyKey: 'one-key' }),
    ),
  )
  expect(new Set(runs.map((run) => run.id)).size).toBe(1)
  const work = await node.nextDispatch(before)
  expect((await node.finish(work, 150)).type).toBe('receiptAck')
  await runs[0]?.wait()
  expect(node.dispatches).toHaveLength(before + 1)
  const state = await session.state()
  expect(state).toMatchObject({ executions: 1, consumedMicros: 1_500n, heldMicros: 0n })
})

test('a refused key stays refused when budget is freed meanwhile', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(600_000n),
  })
  const first = await session.execute({ tool: 'block', args: {} })
  const refused = { params: { id: session.id }, body: { tool: 'block', args: {} } }
  const attempt = () =>
    agent.orien.call(execute, refused, { idempotencyKey: 'too-late' }).catch((error: unknown) => error)
  expect(await attempt()).toMatchObject({ code: 'budget_exhausted' })
  const work = await node.dispatchOf(first.id)
  await node.finish(work, 10)
  await first.wait()
  expect((await session.state()).remainingMicros).toBe(599_900n)
  expect(await attempt()).toMatchObject({ code: 'budget_exhausted' })
  const fresh = await agent.orien
    .call(execute, refused, { idempotencyKey: 'a-new-attempt' })
    .catch((error: unknown) => error)
  expect(fresh).not.toBeInstanceOf(OrienError)
})

test('the same key with another body is a conflict, also after a refusal', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(600_000n),
  })
  await session.execute({ tool: 'block', args: { note: 'a' }, idempotencyKey: 'bound' })
  await expect(
    session.execute({ tool: 'block', args: { note: 'b' }, idempotencyKey: 'bound' }),
  ).rejects.toMatchObject({
    code: 'idempotency_conflict',
  })
  const refused = (note: string) =>
    agent.orien.call(
      execute,
      { params: { id: session.id }, body: { tool: 'block', args: { note } } },
      { idempotencyKey: 'refused' },
    )
  await expect(refused('a')).rejects.toMatchObject({ code: 'budget_exhausted' })
  await expect(refused('b')).rejects.toMatchObject({ code: 'idempotency_conflict' })
})

test('a session opened 50 times at once under one key is one session', async () => {
  const body = { providerId: node.providerId, budgetMicros: micros(100_000n), rail: 'escrow' as const }
  const opened = await Promise.all(
    Array.from({ length: 50 }, () =>
      agent.orien.call(openSession, { body }, { idempotencyKey: 'open-once' }),
    ),
  )
  expect(new Set(opened.map((session) => session.id)).size).toBe(1)
})
