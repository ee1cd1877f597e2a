import { get, type IncomingMessage } from 'node:http'
import { createPool } from '@orien/coordinator'
import { parseSse } from '@orien/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signIn } from '../bench/sse/signIn.ts'
import { type Stack, startStack } from '../harness/stack.ts'
import { insertVoucherSessions, type VoucherSession } from '../harness/voucherSessions.ts'

const EVENTS = 80
let stack: Stack
let session: VoucherSession
let token: string

beforeAll(async () => {
  stack = await startStack()
  const signedIn = await signIn(stack.url)
  token = signedIn.token
  const pool = createPool({ url: stack.database.url, connections: 1 })
  const place = {
    chainId: stack.chain.chainId,
    escrow: stack.chain.escrow.toLowerCase(),
    token: stack.chain.usdc.toLowerCase(),
  } as VoucherSession['terms']
  const made = await insertVoucherSessions(pool, { count: 1, budgetMicros: 1_000_000_000n, chain: place })
  await pool.query('update sessions set agent_id = $1', [signedIn.agentId])
  await pool.end()
  if (!made[0]) throw new TypeError('there is a session')
  session = made[0]
})
afterAll(() => stack.stop())

function open(lastEventId: number): Promise<IncomingMessage> {
  const headers = { authorization: `Bearer ${token}`, 'last-event-id': String(lastEventId) }
  return new Promise((resolve, reject) => {
    get(`${stack.url}/api/sessions/${session.id}/events`, { headers }, resolve).once('error', reject)
  })
}

/** Reads until the last event, hanging up in the middle of the stream every `cutEvery` events. */
async function readAll(cutEvery: number, pauseEvery: number): Promise<number[]> {
  const seen: number[] = []
  while (seen.at(-1) !== EVENTS) {
    const answer = await open(seen.at(-1) ?? 0)
    let read = 0
    for await (const message of parseSse(answer as unknown as Parameters<typeof parseSse>[0])) {
      if (message.id !== undefined) seen.push(Number(message.id))
      read += 1
      // A reader that is busy elsewhere for some turns, so that its socket fills.
      if (read % pauseEvery === 0) for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate)
      if (read === cutEvery || seen.at(-1) === EVENTS) break
    }
    answer.destroy()
  }
  return seen
}

async function publish(): Promise<void> {
  for (let sequence = 1; sequence <= EVENTS; sequence += 1) {
    const cumulativeMicros = BigInt(sequence)
    const { signature } = session.sign(cumulativeMicros)
    const answer = await fetch(`${stack.url}/api/sessions/${session.id}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        action: 'voucher',
        voucher: { cumulativeMicros: cumulativeMicros.toString(), signature },
      }),
    })
    expect(answer.status).toBe(200)
  }
}

test('while events are published, readers that are quick, slow, and cut off again and again see each once, in order', async () => {
  const readers = [
    readAll(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY),
    readAll(Number.POSITIVE_INFINITY, 3),
    readAll(1, Number.POSITIVE_INFINITY),
    readAll(7, 2),
    readAll(50, Number.POSITIVE_INFINITY),
  ]
  await publish()
  const all = Array.from({ length: EVENTS }, (_, index) => index + 1)
  for (const seen of await Promise.all(readers)) expect(seen).toEqual(all)
}, 60_000)

test('readers that have hung up leave no subscription behind, even those that left while they were being let in', async () => {
  const headers = { authorization: `Bearer ${token}` }
  for (let index = 0; index < 50; index += 1) {
    const request = get(`${stack.url}/api/sessions/${session.id}/events`, { headers })
    request.on('error', () => {})
    request.once('socket', (socket) => socket.once('connect', () => setImmediate(() => request.destroy())))
    await new Promise((resolve) => request.once('close', resolve))
  }
  const count = async () => {
    const page = await (await fetch(`${stack.url}/metrics`)).text()
    return Number(/^orien_stream_subscribers(?:\{[^}]*\})? (\d+)/m.exec(page)?.[1])
  }
  // Each look is a round trip, in which the server hears of those that have gone before it.
  let left = await count()
  for (let look = 0; look < 100 && left > 0; look += 1) left = await count()
  expect(left).toBe(0)
})
