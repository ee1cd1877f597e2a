import { createPool } from '@orien/coordinator'
import { endSession, micros } from '@orien/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode
let agent: TestAgent
let other: TestAgent

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
  ;[agent, other] = await Promise.all([createAgent(stack, 20_000_000n), createAgent(stack, 20_000_000n)])
})
afterAll(() => stack.stop())

const open = ({ orien }: TestAgent) =>
  orien.openSession({ providerId: node.providerId, budgetMicros: micros(1_000_000n) })

async function eventsOf(ids: readonly string[]): Promise<Map<string, string[]>> {
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const { rows } = await pool.query<{ session_id: string; types: string[] }>(
    `select session_id, array_agg(type order by sequence) as types from events
      where session_id = any($1) group by session_id`,
    [ids],
  )
  await pool.end()
  return new Map(rows.map((row) => [row.session_id, row.types]))
}

test('sessions that end together end once each, however often that is asked for', async () => {
  const sessions = await Promise.all(Array.from({ length: 12 }, () => open(agent)))
  const asked = [...sessions, ...sessions, ...sessions]
  const views = await Promise.all(asked.map((session) => session.end()))
  expect(views.map(({ id }) => id)).toEqual(asked.map(({ id }) => id))
  // None has touched the chain: there is nothing to settle.
  expect(new Set(views.map(({ status }) => status))).toEqual(new Set(['settled']))
  const types = await eventsOf(sessions.map(({ id }) => id))
  expect(types.size).toBe(12)
  for (const of of types.values())
    expect(of.filter((type) => type !== 'session.started' && type !== 'session.created')).toEqual([
      'session.ending',
      'session.completed',
      'session.settled',
    ])
})

test('somebody else’s session among those that end together is not found, and goes on', async () => {
  const [own, foreign] = await Promise.all([open(agent), open(other)])
  const [ended, refused] = await Promise.allSettled([
    own.end(),
    agent.orien.call(endSession, { params: { id: foreign.id } }),
  ])
  expect(ended).toMatchObject({ status: 'fulfilled', value: { status: 'settled' } })
  expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'not_found' } })
  expect((await foreign.state()).status).toBe('active')
})

test('a session with a run ends when that is accounted for, beside one that ends at once', async () => {
  const [busy, idle] = await Promise.all([open(agent), open(agent)])
  const run = await busy.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  const work = await node.dispatchOf(run.id)
  const views = await Promise.all([busy.end(), idle.end()])
  expect(views.map(({ status }) => status)).toEqual(['ending', 'settled'])
  await node.finish(work, 10)
  const settled = await busy.settled()
  expect(settled.settlement?.claimMicros).toBe(100n)
  // Asked for once more, it tells what has come of it.
  expect((await busy.end()).settlement?.txHash).toBe(settled.settlement?.txHash)
})
