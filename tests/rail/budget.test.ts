import { createPool } from '@orien/coordinator'
import { micros, type OrienError } from '@orien/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
})
afterAll(() => stack.stop())

test('200 concurrent executes against 10.5 holds: 11 accepted, 189 refused, never a micro-USDC over', async () => {
  // 60 s at 0.60 USDC a minute: a full hold is 600,000.
  const budget = micros(6_300_000n)
  const agent = await createAgent(stack, budget)
  const session = await agent.orien.openSession({ providerId: node.providerId, budgetMicros: budget })
  const results = await Promise.allSettled(
    Array.from({ length: 200 }, () => session.execute({ tool: 'block', args: {} })),
  )
  const accepted = results.filter((result) => result.status === 'fulfilled')
  const codes = results.flatMap((result) =>
    result.status === 'rejected' ? [(result.reason as OrienError).code] : [],
  )
  expect(accepted).toHaveLength(11)
  expect(codes).toHaveLength(189)
  expect(new Set(codes)).toEqual(new Set(['budget_exhausted']))
  const works = await Promise.all(Array.from({ length: 11 }, (_, index) => node.nextDispatch(index)))
  const holds = works.map((work) => work.holdMicros).sort((a, b) => Number(b - a))
  expect(holds.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 600_000n))
  expect(holds[10]).toBe(300_000n)
  expect(works.map((work) => work.deadlineMs).sort((a, b) => a - b)).toEqual([
    30_000,
    ...Array.from({ length: 10 }, () => 60_000),
  ])
  const view = await session.state()
  expect(view.heldMicros).toBe(budget)
  expect(view.remainingMicros).toBe(0n)
})

test('amounts beyond 2^53 survive API, database and JSON', async () => {
  const budget = micros(9_007_199_254_740_993n)
  const agent = await createAgent(stack, budget)
  const session = await agent.orien.openSession({ providerId: node.providerId, budgetMicros: budget })
  expect((await session.state()).budgetMicros).toBe(budget)
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const { rows } = await pool.query('select budget_micros from sessions where id = $1', [session.id])
  await pool.end()
  expect(rows[0].budget_micros).toBe(9_007_199_254_740_993n)
})
