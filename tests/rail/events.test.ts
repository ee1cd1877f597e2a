import { micros } from '@orien/protocol'
import { parseSse } from '@orien/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { createAgent, type Stack, startStack, type TestAgent } from '../harness/stack.ts'

let stack: Stack
let node: ScriptedNode
let agent: TestAgent
let token: string

beforeAll(async () => {
  stack = await startStack()
  node = await startScriptedNode(stack)
  agent = await createAgent(stack, 20_000_000n)
  const post = async (path: string, body: unknown) =>
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
  token = ((await post('/api/auth/verify', { message, signature })) as { token: string }).token
})
afterAll(() => stack.stop())

/** Reads messages until `count` have come, then hangs up, mid-stream. */
async function read(path: string, count: number, lastEventId?: string) {
  const gone = new AbortController()
  const headers = {
    authorization: `Bearer ${token}`,
    accept: 'text/event-stream',
    ...(lastEventId ? { 'last-event-id': lastEventId } : {}),
  }
  const answer = await fetch(`${stack.url}${path}`, { headers, signal: gone.signal })
  const messages: { id: string | undefined; event: string; data: string }[] = []
  if (!answer.body) return messages
  for await (const message of parseSse(answer.body)) {
    messages.push({ id: message.id, event: message.event, data: message.data })
    if (messages.length === count) break
  }
  gone.abort()
  return messages
}

test('a stream resumed at every single event with Last-Event-ID has no gap and no duplicate', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
  })
  for (let index = 0; index < 3; index += 1) {
    const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
    await node.finish(await node.dispatchOf(run.id), 20)
    await run.wait()
  }
  await session.end()
  await session.settled()
  const path = `/api/sessions/${session.id}/events`
  const ids: number[] = []
  const types: string[] = []
  while (types.at(-1) !== 'session.settled') {
    const [message] = await read(path, 1, ids.length === 0 ? undefined : String(ids.at(-1)))
    if (!message) throw new TypeError('the stream said nothing')
    ids.push(Number(message.id))
    types.push(message.event)
  }
  expect(ids).toEqual(ids.map((_, index) => index + 1))
  expect(types.filter((type) => type === 'execution.accepted')).toHaveLength(3)
  expect(types.filter((type) => type === 'execution.completed')).toHaveLength(3)
})

test('live events reach every reader in order while 40 runs go on, each once', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(5_000_000n),
  })
  const readers = Array.from({ length: 5 }, async () => {
    const sequences: number[] = []
    for await (const message of session.events()) {
      if (message.kind === 'event') sequences.push(message.event.sequence)
    }
    return sequences
  })
  await Promise.all(
    Array.from({ length: 40 }, async () => {
      const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
      const work = await node.dispatchOf(run.id)
      node.send({ type: 'started', executionId: work.executionId, at: new Date().toISOString() })
      return node.finish(work, 1)
    }),
  )
  await session.end()
  const all = await Promise.all(readers)
  for (const sequences of all) expect(sequences).toEqual(sequences.map((_, index) => index + 1))
  expect(new Set(all.map((sequences) => sequences.length)).size).toBe(1)
})

test('output split inside a character arrives whole, resumes at any byte, and is text for whoever wants text', async () => {
  const session = await agent.orien.openSession({
    providerId: node.providerId,
    budgetMicros: micros(1_000_000n),
  })
  const run = await session.execute({ tool: 'block', args: {}, maxCostMicros: micros(20_000n) })
  const work = await node.dispatchOf(run.id)
  const output = Buffer.from('grüße 🚀 vom Rand\n')
  const cut = output.indexOf(Buffer.from('🚀')) + 2
  const say = (offset: number, data: Buffer) =>
    node.send({
      type: 'log',
      executionId: work.executionId,
      stream: 'stdout',
      offset,
      data: data.toString('base64'),
    })
  say(0, output.subarray(0, cut))
  say(cut, output.subarray(cut))
  await node.finish(work, 5, { logBytes: output.length })
  const pieces = []
  for await (const piece of run.logs()) pieces.push(piece.text)
  expect(pieces.join('')).toBe(output.toString())
  expect((await run.wait()).stdout).toBe(output.toString())
  const path = `/api/executions/${run.id}/logs`
  const resumed = await read(path, 1, String(cut - 1))
  expect(JSON.parse(resumed[0]?.data ?? '{}')).toMatchObject({ offset: cut - 1 })
  const text = await fetch(`${stack.url}${path}`, { headers: { authorization: `Bearer ${token}` } })
  expect(await text.text()).toBe(output.toString())
})
