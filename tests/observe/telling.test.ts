import { connect } from 'node:net'
import {
  ERRORS,
  EXECUTION_STATUSES,
  FAILURE_REASONS,
  makeId,
  micros,
  OPERATIONS,
  STREAMS,
  TOOLS_SCHEMA_PATH,
} from '@orien/protocol'
import type { Session } from '@orien/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keepLines } from '../harness/logLines.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

const SECRET = 'canary-9d2f4e'
const { log, lines, of: linesOf } = keepLines()
let stack: Stack
let node: ScriptedNode
let agent: TestAgent
let session: Session

beforeAll(async () => {
  stack = await startStack({ sweepEveryMs: 200 }, undefined, { log })
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 20_000_000n)
  session = await agent.orien.openSession({ providerId: node.providerId, budgetMicros: micros(5_000_000n) })
})
afterAll(() => stack.stop())

const page = async () => (await fetch(`${stack.url}/metrics`)).text()
const samplesOf = (text: string, name: string) => text.split('\n').filter((line) => line.startsWith(name))
const linesOfRun = (id: string) => linesOf('execution').filter((line) => line.executionId === id)

test('an execution is one line at its end, with money, outcome and every phase that was seen', async () => {
  const run = await session.execute({ tool: 'block', args: { note: SECRET }, maxCostMicros: micros(50_000n) })
  const work = await node.dispatchOf(run.id)
  expect(linesOfRun(run.id)).toEqual([])
  const report = { v: 1, queueMs: 1, setUpMs: 2, runMs: 100, receiptMs: 3 }
  await node.finish(work, 100, {}, report)
  await run.wait()
  expect(linesOfRun(run.id)).toMatchObject([
    {
      outcome: 'recorded',
      status: 'completed',
      tool: 'block',
      providerId: node.providerId,
      isolation: 'namespaces',
      holdMicros: '50000',
      costMicros: '1000',
      effectiveMs: 100,
      queueMs: 1,
      setUpMs: 2,
      runMs: 100,
      receiptMs: 3,
      submitMs: expect.any(Number),
      dispatchMs: expect.any(Number),
      commitMs: expect.any(Number),
      totalMs: expect.any(Number),
    },
  ])
})

test('what a node reports beside its receipt moves no money, and nonsense costs it nothing', async () => {
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(50_000n) })
  const work = await node.dispatchOf(run.id)
  const absurd = { v: 1, runMs: 9e15, queueMs: -4, costMicros: '1', traceparent: SECRET }
  await node.finish(work, 50, {}, absurd)
  expect(await run.wait()).toMatchObject({ status: 'completed', effectiveMs: 50, costMicros: 500n })
  const [line] = linesOfRun(run.id)
  expect(line).not.toHaveProperty('runMs')
  expect(line).toMatchObject({ costMicros: '500', commitMs: expect.any(Number) })
})

test('a disputed execution is one line with its code, and is counted as a dispute', async () => {
  const other = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
  })
  const run = await other.execute({ tool: 'block', args: {} })
  await node.finish(await node.dispatchOf(run.id), 59_000)
  expect(linesOfRun(run.id)).toMatchObject([
    { outcome: 'disputed', code: 'implausible_duration', costMicros: '0' },
  ])
  expect(await page()).toContain('orien_disputes_total 1')
})

test('a request is one line and one count, however it ends: answered, unknown, unreadable, refused, given up', async () => {
  const before = linesOf('request').length
  await fetch(`${stack.url}/api/providers?q=${SECRET}`)
  await fetch(`${stack.url}/nowhere/${SECRET}`)
  await fetch(`${stack.url}/api/sessions`, { headers: { authorization: `Bearer ${SECRET}${SECRET}` } })
  await fetch(`${stack.url}/api/providers/%zz${SECRET}`)
  const gone = new AbortController()
  const { token } = await signIn()
  const feed = await fetch(`${stack.url}/api/sessions/${session.id}/events`, {
    headers: { authorization: `Bearer ${token}` },
    signal: gone.signal,
  })
  expect(feed.status).toBe(200)
  gone.abort()
  await expect
    .poll(() =>
      linesOf('request')
        .slice(before)
        .map(({ route, status, code, isAborted }) => [route, status, code, isAborted].join(' ').trim()),
    )
    .toEqual(
      expect.arrayContaining([
        '/api/providers 200',
        'none 404 not_found',
        '/api/sessions 401 unauthorized',
        'none 400 validation_failed',
        '/api/sessions/:id/events 200  true',
      ]),
    )
  const ids = linesOf('request').map(({ requestId }) => requestId)
  expect(new Set(ids).size).toBe(ids.length)
})

async function signIn(): Promise<{ token: string }> {
  const post = async (path: string, body: object) =>
    (
      await fetch(`${stack.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    ).json()
  const { message } = (await post('/api/auth/challenge', { address: agent.account.address })) as {
    message: string
  }
  const signature = await agent.account.signMessage({ message })
  return (await post('/api/auth/verify', { message, signature })) as { token: string }
}

test('a run of a job is one line', async () => {
  await expect.poll(() => linesOf('job').filter(({ job }) => job === 'sweep').length).toBeGreaterThan(1)
  expect(linesOf('job').find(({ job }) => job === 'relayer')).toMatchObject({
    status: expect.stringMatching(/^(moved|idle)$/),
    durationMs: expect.any(Number),
  })
})

test('no label takes a value that the source does not bound, whatever is sent', async () => {
  const raw = connect({ port: Number(new URL(stack.url).port), host: '127.0.0.1' })
  raw.end(`PROPFIND /${SECRET} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  await new Promise((resolve) => raw.resume().on('close', resolve))
  const text = await page()
  const paths = [...OPERATIONS, ...STREAMS].map(({ path }) => path)
  const own = [
    TOOLS_SCHEMA_PATH,
    'none',
    '/',
    '/api/openapi.json',
    '/api/docs',
    '/docs/errors/:code',
    '/.well-known/orien.json',
  ]
  const bounds: Record<string, readonly string[]> = {
    route: [...paths, ...own, '/api/sessions/:id/files/*', '*'],
    method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'],
    class: [
      ...['1xx', '2xx', '3xx', '4xx', '5xx', 'aborted'],
      ...['sessions_budget', 'sessions_payable', 'providers_earnings', 'platform_fees', 'platform_reserve'],
      ...['rails_inbound', 'rails_outbound', 'agents_available', 'other'],
    ],
    code: [...Object.keys(ERRORS), 'other'],
    status: [
      ...EXECUTION_STATUSES,
      ...['moved', 'idle', 'failed'],
      ...['planned', 'signed', 'broadcast', 'mined', 'reorged'],
    ],
    reason: ['', ...FAILURE_REASONS],
    phase: ['submit', 'dispatch', 'queue', 'set_up', 'run', 'receipt', 'transit', 'commit'],
    job: ['relayer', 'sweep'],
    batcher: ['submit', 'receipt', 'log', 'end'],
    what: ['trail', 'dispatch', 'output'],
    kind: ['open', 'open_batch', 'top_up', 'close', 'close_batch', 'request_close', 'set_operator'],
    state: ['busy', 'idle', 'waiting'],
  }
  const found = text
    .split('\n')
    .filter((line) => line.startsWith('orien_'))
    .flatMap((line) =>
      [...line.matchAll(/([{,])(\w+)="([^"]*)"/g)].map(([, , label = '', value = '']) => ({ label, value })),
    )
    .filter(({ label }) => label !== 'le')
  expect(found.filter(({ label, value }) => !bounds[label]?.includes(value))).toEqual([])
  expect(text).not.toMatch(/(ses|exe|prv|agt|rcp)_[0-9a-z]{26}/)
})

test('the page has the phases, the pool, the batches, the ledger, the jobs and the relayer’s gas', async () => {
  await expect
    .poll(async () => samplesOf(await page(), 'orien_ledger_micros').length, { timeout: 15_000 })
    .toBeGreaterThan(0)
  const text = await page()
  for (const phase of ['submit', 'dispatch', 'queue', 'set_up', 'run', 'receipt', 'commit'])
    expect(text).toMatch(new RegExp(`orien_execution_phase_seconds_count\\{phase="${phase}"\\} [1-9]`))
  expect(text).toMatch(/orien_pool_connections\{state="idle"\} \d/)
  expect(text).toMatch(/orien_batch_items_count\{batcher="submit"\} [1-9]/)
  expect(text).toMatch(/orien_relayer_balance_wei [1-9]/)
  expect(text).toMatch(/orien_relayer_beat_age_seconds \d/)
  expect(text).toMatch(/orien_refusals_total\{code="unauthorized"\} [1-9]/)
  expect(text).toMatch(/nodejs_eventloop_lag_p99_seconds \d/)
  expect(text).toMatch(/orien_nodes_online 1/)
})

test('nothing is remembered of executions that have ended, or that a node makes up', async () => {
  const [known] = node.dispatches
  const said = { type: 'log' as const, stream: 'stdout' as const, offset: 0, data: 'aGk=' }
  for (let index = 0; index < 50; index += 1) {
    const executionId = makeId('execution', index, new Uint8Array(10))
    node.send({ ...said, executionId })
    node.send({ type: 'receipt', executionId, jws: 'a.b.c' })
    if (known) node.send({ ...said, executionId: known.executionId })
  }
  const last = makeId('execution', 49, new Uint8Array(10))
  await node.waitFor('receiptRefused', ({ executionId }) => executionId === last)
  for (const what of ['trail', 'dispatch', 'output'])
    await expect.poll(page, { timeout: 10_000 }).toContain(`orien_remembered_items{what="${what}"} 0`)
})

test('arguments, secrets and output are in no line and on no page', async () => {
  const { token } = await signIn()
  const text = JSON.stringify(lines) + (await page())
  for (const secret of [SECRET, token, agent.privateKey.slice(2), stack.chain.relayerPrivateKey.slice(2)])
    expect(text).not.toContain(secret)
  expect(text).not.toMatch(/"(args|authorization|stdout|stderr)"/)
})
