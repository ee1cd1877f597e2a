import { micros } from '@orien/protocol'
import { Orien } from '@orien/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keepLines } from '../harness/logLines.ts'
import { type RealNode, startRealNode } from '../harness/realNode.ts'
import { type ReceivedSpan, startSpanReceiver } from '../harness/spanReceiver.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

const SECRET = 'canary-71ab03'
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const CLIENT = 'b7ad6b7169203331'
const lines = keepLines()
let receiver: Awaited<ReturnType<typeof startSpanReceiver>>
let stack: Stack
let node: RealNode
let agent: TestAgent

beforeAll(async () => {
  receiver = await startSpanReceiver()
  stack = await startStack({ tracesEndpoint: receiver.endpoint }, undefined, { log: lines.log })
  node = await startRealNode(stack, { environment: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint } })
  agent = await createAgent(stack, 20_000_000n)
})
afterAll(async () => {
  await node.stop()
  await stack.stop()
  receiver.close()
})

const named = (spans: readonly ReceivedSpan[], name: string) => spans.find((span) => span.name === name)

/** An agent whose own trace goes on in its calls to execute. */
const tracedAgent = () =>
  new Orien({
    baseUrl: stack.url,
    account: agent.account,
    rpcUrl: stack.chain.rpcUrl,
    fetch: (url, init) => {
      const headers = new Headers(init?.headers)
      if (String(url).endsWith('/execute')) headers.set('traceparent', `00-${TRACE}-${CLIENT}-01`)
      return fetch(url, { ...init, headers })
    },
  })

test('one trace goes from the caller through HTTP, submit, dispatch, the node’s set-up and run, receipt and commit', async () => {
  const session = await tracedAgent().openSession({
    providerId: node.providerId,
    budgetMicros: micros(10_000_000n),
  })
  const traced = await session.run({
    tool: 'execute_script',
    args: { language: 'javascript', code: `console.log('${SECRET}')` },
  })
  expect(traced).toMatchObject({ status: 'completed', stdout: `${SECRET}\n` })
  const spans = () => receiver.spans.filter(({ traceId }) => traceId === TRACE)
  const wanted = [
    'execution',
    'submit',
    'dispatch',
    'node execution',
    'queue',
    'set-up',
    'run',
    'receipt',
    'commit',
  ]
  const server = 'POST /api/sessions/:id/execute'
  await expect
    .poll(() => [server, ...wanted].filter((name) => !named(spans(), name)), { timeout: 20_000 })
    .toEqual([])
  expect(named(spans(), server)).toMatchObject({ parentSpanId: CLIENT, service: 'orien-coordinator' })
  const execution = named(spans(), 'execution')
  expect(execution?.parentSpanId).toBe(named(spans(), server)?.spanId)
  for (const name of ['submit', 'dispatch', 'commit', 'node execution'])
    expect(named(spans(), name)?.parentSpanId, name).toBe(execution?.spanId)
  const atNode = named(spans(), 'node execution')
  for (const name of ['queue', 'set-up', 'run', 'receipt'])
    expect(named(spans(), name), name).toMatchObject({ parentSpanId: atNode?.spanId, service: 'orien-node' })
  const ends = wanted.map((name) => BigInt(named(spans(), name)?.endTimeUnixNano ?? 0))
  for (const span of spans())
    expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano))
  expect(ends.every((end) => end > 0n)).toBe(true)
  const told = lines.of('execution').filter((line) => line.executionId === traced.id)
  expect(told).toHaveLength(1)
  expect(told[0]).toMatchObject({
    traceId: TRACE,
    outcome: 'recorded',
    tool: 'execute_script',
    providerId: node.providerId,
    ...Object.fromEntries(
      [
        'submitMs',
        'dispatchMs',
        'queueMs',
        'setUpMs',
        'runMs',
        'receiptMs',
        'transitMs',
        'commitMs',
        'totalMs',
      ].map((key) => [key, expect.any(Number)]),
    ),
  })
})

test('arguments, output and secrets are in no span', async () => {
  expect(receiver.bodies.length).toBeGreaterThan(0)
  const all = receiver.bodies.join('\n')
  expect(all).not.toContain(SECRET)
  expect(all).not.toContain('Bearer')
  expect(all).not.toContain(agent.privateKey.slice(2))
})
