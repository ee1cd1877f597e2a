import type { ServerResponse } from 'node:http'
import {
  cancelExecution,
  ERRORS,
  getHealth,
  getProvider,
  getSession,
  listProviders,
  micros,
  type Operation,
  openSession,
  verifyChallenge,
} from '@orien/protocol'
import { describe, expect, it } from 'vitest'
import { type Arrived, type Loopback, problem, startLoopback } from '../testing/loopback.ts'
import { makeProvider } from '../testing/providerStandIn.ts'
import { SessionStandIn } from '../testing/sessionStandIn.ts'
import { createHttpClient } from './client.ts'
import type { Timeouts } from './watch.ts'

const provider = await makeProvider('http')
const session = new SessionStandIn(provider, micros(1_000_000n))
const HEALTH = {
  status: 'ok',
  version: '0.1.0',
  database: 'ok',
  bus: 'ok',
  chain: 'ok',
  relayer: 'ok',
  providersOnline: 1,
  reasons: [],
}
const TIMEOUTS: Timeouts = { connectMs: 2_000, idleMs: 2_000, totalMs: 10_000 }
const OPEN = { body: { providerId: provider.id, budgetMicros: micros(1_000_000n), rail: 'escrow' as const } }

type Step = (request: Arrived, response: ServerResponse) => unknown

/** Answers the requests one after the other; the last answer is repeated. */
function inTurn(...steps: Step[]): Step {
  let at = 0
  return (request, response) => {
    const step = steps[Math.min(at, steps.length - 1)]
    at += 1
    return step?.(request, response)
  }
}

const lose: Step = (_, response) => {
  response.destroy()
}
const refuse =
  (status: number, code: string, facts: object = {}): Step =>
  (_, response) =>
    problem(response, status, code, facts)

function clientOf(server: Loopback, timeouts: Partial<Timeouts> = {}, tokens: string[] = ['token']) {
  let used = 0
  return createHttpClient({
    baseUrl: server.url,
    fetch: (url, init) => fetch(url, init),
    timeouts: { ...TIMEOUTS, ...timeouts },
    token: async (_, renew) => {
      if (renew) used += 1
      return tokens[Math.min(used, tokens.length - 1)]
    },
  })
}

const keysOf = (server: Loopback) => server.requests.map(({ headers }) => headers['idempotency-key'])

describe('a call', () => {
  it('sends amounts as strings and gives them back as bigint', async () => {
    await using server = await startLoopback(() => session.view())
    const view = await clientOf(server).call(openSession, OPEN)
    expect(view.budgetMicros).toBe(1_000_000n)
    expect(JSON.parse(server.requests[0]?.body.toString() ?? '')).toMatchObject({ budgetMicros: '1000000' })
    expect(server.requests[0]?.headers).toMatchObject({
      authorization: 'Bearer token',
      'content-type': 'application/json',
    })
  })

  it('puts path and query where they belong and leaves out what is undefined', async () => {
    await using server = await startLoopback(() => ({ items: [] }))
    const query = { tool: 'render_scene', maxRateMicros: micros(5n), q: 'a b&c', isolation: undefined }
    await clientOf(server).call(listProviders, { query })
    const url = new URL(server.requests[0]?.path ?? '', server.url)
    expect(Object.fromEntries(url.searchParams)).toEqual({
      tool: 'render_scene',
      maxRateMicros: '5',
      q: 'a b&c',
    })
  })

  it('that is not valid is refused before anything is sent', async () => {
    await using server = await startLoopback(() => HEALTH)
    const call = clientOf(server).call(getProvider, { params: { id: '../sessions' as typeof provider.id } })
    await expect(call).rejects.toMatchObject({
      code: 'validation_failed',
      facts: { issues: [{ path: 'id' }] },
    })
    expect(server.requests).toEqual([])
  })

  it('that is public carries no token', async () => {
    await using server = await startLoopback(() => HEALTH)
    await clientOf(server).call(getHealth, {})
    expect(server.requests[0]?.headers.authorization).toBeUndefined()
  })

  it('with a token that is no longer known is repeated once with a new one', async () => {
    await using server = await startLoopback((request, response) =>
      request.headers.authorization === 'Bearer new'
        ? session.view()
        : problem(response, 401, 'unauthorized'),
    )
    await clientOf(server, {}, ['old', 'new']).call(getSession, { params: { id: session.id } })
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer old', 'Bearer new'])
  })

  it('is not repeated for ever when every token is refused', async () => {
    await using server = await startLoopback(refuse(401, 'unauthorized'))
    const call = clientOf(server, {}, ['a', 'b']).call(getSession, { params: { id: session.id } })
    await expect(call).rejects.toMatchObject({ code: 'unauthorized' })
    expect(server.requests).toHaveLength(2)
  })

  it('does not follow a redirect, which would carry the token elsewhere', async () => {
    await using elsewhere = await startLoopback(() => session.view())
    await using server = await startLoopback((_, response) => {
      response.writeHead(307, { location: elsewhere.url }).end()
    })
    const call = clientOf(server, { totalMs: 1 }).call(getSession, { params: { id: session.id } })
    await expect(call).rejects.toMatchObject({ code: 'coordinator_unreachable' })
    expect(elsewhere.requests).toEqual([])
  })
})

describe('an error', () => {
  it('comes with its code, its words and its facts', async () => {
    await using server = await startLoopback(
      refuse(402, 'voucher_required', { requiredCumulativeMicros: '15' }),
    )
    await expect(clientOf(server).call(openSession, OPEN)).rejects.toMatchObject({
      name: 'OrienError',
      code: 'voucher_required',
      message: 'stand-in: voucher_required',
      facts: { requiredCumulativeMicros: '15', requestId: 'req_1' },
    })
  })

  it('comes with the hint that was written for it, where it is not the one of its code', async () => {
    const hints = ['Wait for the deposit.', ERRORS.session_not_active.hint]
    await using server = await startLoopback(
      inTurn(...hints.map((hint) => refuse(409, 'session_not_active', { hint }))),
    )
    const client = clientOf(server)
    const refused = () => client.call(openSession, OPEN).catch((error: { facts: object }) => error.facts)
    expect(await refused()).toMatchObject({ hint: hints[0] })
    expect(await refused()).not.toHaveProperty('hint')
  })

  it.each([
    [400, 'unreadable'],
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [404, 'not_found'],
    [413, 'payload_too_large'],
    [500, 'unreadable'],
  ])('of something in between with HTTP %i is %s', async (status, code) => {
    await using server = await startLoopback((_, response) => {
      response.writeHead(status).end('<h1>proxy</h1>')
    })
    const call = clientOf(server, {}, ['a']).call(getSession, { params: { id: session.id } })
    await expect(call).rejects.toMatchObject({ code, facts: { status } })
  })

  it('with a code that is not in the table is not taken at its word', async () => {
    await using server = await startLoopback(refuse(400, 'constructor'))
    await expect(clientOf(server).call(getHealth, {})).rejects.toMatchObject({ code: 'unreadable' })
  })

  it.each([
    ['no JSON', 'hello'],
    ['half of it', '{"status":"ok"'],
    ['another form', '{"status":"fine"}'],
    ['a list', '[]'],
  ])('is what an answer of %s becomes', async (_, text) => {
    await using server = await startLoopback((__, response) => void response.end(text))
    await expect(clientOf(server).call(getHealth, {})).rejects.toMatchObject({ code: 'unreadable' })
  })

  it('is not what an answer with more than this SDK knows becomes', async () => {
    await using server = await startLoopback(() => ({ ...HEALTH, region: 'eu' }))
    expect(await clientOf(server).call(getHealth, {})).toEqual(HEALTH)
  })
})

describe('a call that the network loses', () => {
  it('is repeated with the same key and the same body, and answered once', async () => {
    await using server = await startLoopback(inTurn(lose, lose, () => session.view()))
    await clientOf(server).call(openSession, OPEN)
    expect(server.requests).toHaveLength(3)
    expect(new Set(keysOf(server)).size).toBe(1)
    expect(new Set(server.requests.map(({ body }) => body.toString())).size).toBe(1)
    expect(keysOf(server)[0]).toMatch(/^[\w-]{16,}$/)
  })

  it('has a key of its own each time it is made anew, or the one that it is given', async () => {
    await using server = await startLoopback(() => session.view())
    const client = clientOf(server)
    await client.call(openSession, OPEN)
    await client.call(openSession, OPEN)
    await client.call(openSession, OPEN, { idempotencyKey: 'mine' })
    expect(new Set(keysOf(server)).size).toBe(3)
    expect(keysOf(server)[2]).toBe('mine')
  })

  it('is given up after a bounded number of attempts', async () => {
    await using server = await startLoopback(lose)
    await expect(clientOf(server).call(openSession, OPEN)).rejects.toMatchObject({
      code: 'coordinator_unreachable',
    })
    expect(server.requests).toHaveLength(5)
  })

  it('is not repeated when a second one could do harm', async () => {
    await using server = await startLoopback(lose)
    const body = { message: 'm', signature: `0x${'00'.repeat(65)}` }
    await expect(clientOf(server).call(verifyChallenge, { body })).rejects.toMatchObject({
      code: 'coordinator_unreachable',
    })
    expect(server.requests).toHaveLength(1)
  })

  it.each([
    ['a read', getSession],
    ['a deletion', cancelExecution],
  ] as [string, Operation][])('is repeated when it is %s', async (_, op) => {
    await using server = await startLoopback(inTurn(lose, refuse(404, 'not_found')))
    const id = op.id === 'getSession' ? session.id : `exe_${'0'.repeat(26)}`
    await expect(clientOf(server).call(op, { params: { id } } as never)).rejects.toMatchObject({
      code: 'not_found',
    })
    expect(server.requests).toHaveLength(2)
  })
})

describe('a call that is refused', () => {
  it.each([
    [429, 'rate_limited'],
    [503, 'overloaded'],
    [503, 'database_unavailable'],
    [503, 'chain_unavailable'],
    [500, 'internal_error'],
  ])('with HTTP %i %s is repeated with the same key', async (status, code) => {
    await using server = await startLoopback(inTurn(refuse(status, code), () => session.view()))
    await clientOf(server).call(openSession, OPEN)
    expect(new Set(keysOf(server)).size).toBe(1)
    expect(server.requests).toHaveLength(2)
  })

  it.each([
    [402, 'budget_exhausted'],
    [402, 'voucher_required'],
    [409, 'provider_offline'],
    [409, 'idempotency_conflict'],
    [400, 'validation_failed'],
  ])('with HTTP %i %s is not repeated: the refusal is kept under its key', async (status, code) => {
    await using server = await startLoopback(refuse(status, code))
    await expect(clientOf(server).call(openSession, OPEN)).rejects.toMatchObject({ code })
    expect(server.requests).toHaveLength(1)
  })

  it('waits as long as it is asked to, and not beyond its own deadline', async () => {
    await using server = await startLoopback((_, response) => {
      response.setHeader('retry-after', '3')
      return problem(response, 429, 'rate_limited')
    })
    const began = performance.now()
    const call = clientOf(server, { totalMs: 2_000 }).call(openSession, OPEN)
    await expect(call).rejects.toMatchObject({ code: 'rate_limited', facts: { retryAfterMs: 3_000 } })
    expect(performance.now() - began).toBeLessThan(2_000)
    expect(server.requests).toHaveLength(1)
  })
})

describe('a call that takes too long', () => {
  const timeouts = { connectMs: 60, idleMs: 60, totalMs: 100 }

  it('to begin its answer ends with timed_out', async () => {
    await using server = await startLoopback(() => undefined)
    await expect(clientOf(server, timeouts).call(getHealth, {})).rejects.toMatchObject({ code: 'timed_out' })
  })

  it('between two pieces of its answer ends with timed_out', async () => {
    await using server = await startLoopback((_, response) => {
      response.writeHead(200)
      response.write('{"status":')
    })
    await expect(clientOf(server, timeouts).call(getHealth, {})).rejects.toMatchObject({ code: 'timed_out' })
  })

  it('is given the time that it asked the coordinator to wait', async () => {
    await using server = await startLoopback((_, response) => {
      setTimeout(() => response.end(JSON.stringify(session.view())), 300)
    })
    const view = await clientOf(server, timeouts).call(openSession, OPEN, { prefer: { waitMs: 2_000 } })
    expect(view.id).toBe(session.id)
    expect(server.requests[0]?.headers.prefer).toBe('wait=2')
  })

  it('ends at once with its caller’s own reason when it is aborted', async () => {
    await using server = await startLoopback(() => undefined)
    const reason = new TypeError('the agent changed its mind')
    const stop = new AbortController()
    const call = clientOf(server).call(getHealth, {}, { signal: stop.signal })
    stop.abort(reason)
    await expect(call).rejects.toBe(reason)
  })

  it('ends while it waits for its next attempt when it is aborted', async () => {
    const stop = new AbortController()
    await using server = await startLoopback((request, response) => {
      setTimeout(() => stop.abort(), 10)
      response.setHeader('retry-after', '5')
      return refuse(429, 'rate_limited')(request, response)
    })
    const call = clientOf(server).call(getHealth, {}, { signal: stop.signal })
    await expect(call).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('the coordinator’s clock', () => {
  it('is learnt from its answers', async () => {
    const ahead = Date.now() + 3_600_000
    await using server = await startLoopback((_, response) => {
      response.setHeader('date', new Date(ahead).toUTCString())
      return HEALTH
    })
    const client = clientOf(server)
    expect(Math.abs(client.serverNowMs() - Date.now())).toBeLessThan(1_000)
    await client.call(getHealth, {})
    expect(Math.abs(client.serverNowMs() - ahead)).toBeLessThan(5_000)
  })
})
