import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { micros, readReceipt, type SessionEventRecord } from '@orien/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

const tools = `
tools:
  - id: nap
    description: Sleeps in a process below another one
    arguments: { properties: {} }
    executable: /usr/bin/timeout
    argv: [{ kind: literal, value: "60" }, { kind: literal, value: "/usr/bin/sleep" }, { kind: literal, value: "60" }]
    readOnlyPaths: [/usr/bin]
    limits: { timeMs: 30000, memoryBytes: 67108864, processes: 8, diskBytes: 1048576, outputBytes: 1024 }
`
let stack: Stack
let node: RealNode
let agent: TestAgent

beforeAll(async () => {
  stack = await startStack()
  const toolsFile = join(mkdtempSync(join(tmpdir(), 'orien-tools-')), 'tools.yaml')
  writeFileSync(toolsFile, tools)
  node = await startRealNode(stack, { toolsFile })
  agent = await createAgent(stack, 1_000_000_000n)
}, 120_000)
afterAll(async () => {
  await node.stop()
  await stack.stop()
})

test('the end of a session is told before the death of its run, that before its completion, that before its settlement', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(50_000_000n),
  })
  const run = await session.execute({ tool: 'nap', args: {}, maxCostMicros: micros(20_000_000n) })
  const told: SessionEventRecord[] = []
  let refused: unknown
  for await (const message of session.events()) {
    if (message.kind !== 'event') continue
    told.push(message.event)
    if (message.event.type !== 'execution.started') continue
    await session.end()
    refused = await session.execute({ tool: 'nap', args: {} }).catch((error: unknown) => error)
  }
  expect(refused).toMatchObject({ code: 'session_not_active' })
  const order = [
    'session.ending',
    'execution.failed',
    'session.completed',
    'settlement.final',
    'session.settled',
  ]
  expect(told.map((event) => event.type).filter((type) => order.includes(type))).toEqual(order)
  const instants = told.map((event) => Date.parse(event.at))
  expect(instants).toEqual(instants.toSorted((left, right) => left - right))
  const result = await run.wait()
  const receipt = readReceipt(result.receipt ?? '')?.receipt
  expect(receipt).toMatchObject({ reason: 'cancelled' })
  expect(receipt?.effectiveMs).toBeLessThan(receipt?.deadlineMs ?? 0)
}, 60_000)

test('what is billed of a cancelled run lies between the start and the end in its receipt', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(50_000_000n),
  })
  const run = await session.execute({ tool: 'nap', args: {}, maxCostMicros: micros(20_000_000n) })
  for await (const message of session.events())
    if (message.kind === 'event' && message.event.type === 'execution.started') break
  await run.cancel()
  const receipt = readReceipt((await run.wait()).receipt ?? '')?.receipt
  const lifeMs = Date.parse(receipt?.endedAt ?? '') - Date.parse(receipt?.startedAt ?? '')
  expect(lifeMs).toBeGreaterThanOrEqual(receipt?.effectiveMs ?? Number.POSITIVE_INFINITY)
}, 60_000)
