import { micros, providerView, UNKNOWN_REPUTATION } from '@orien/protocol'
import { describe, expect, it } from 'vitest'
import { createHttpClient } from './http/client.ts'
import { deriveIdempotencyKey } from './idempotency.ts'
import { chooseProvider } from './providers.ts'
import { randomKey } from './random.ts'
import { type Lies, startCoordinatorStandIn } from './testing/coordinatorStandIn.ts'
import { problem, startLoopback, startSse, writeSse } from './testing/loopback.ts'
import { orienFor } from './testing/orienFor.ts'
import { makeProvider } from './testing/providerStandIn.ts'

const provider = await makeProvider('runner')
const request = { tool: 'render_scene', budgetMicros: micros(1_000_000n) }

describe('one call that does it all', () => {
  it('chooses, opens, uploads, runs, downloads and ends', async () => {
    await using standIn = await startCoordinatorStandIn(provider, {
      run: () => {
        standIn.session().files.set('out.png', Buffer.from('picture'))
        return { effectiveMs: 1_500 }
      },
    })
    const result = await orienFor(standIn).run({
      ...request,
      files: { 'in.json': '{}' },
      download: ['out.png'],
    })
    expect(result.execution).toMatchObject({ status: 'completed', costMicros: 15_000n })
    expect(new TextDecoder().decode(result.files['out.png'])).toBe('picture')
    expect(standIn.session().files.get('in.json')?.toString()).toBe('{}')
    expect(standIn.session().status).toBe('completed')
    const search = standIn.requests.find(({ path }) => path.startsWith('/api/providers?'))
    expect(search?.path).toContain('tool=render_scene')
    expect(search?.path).toContain('online=true')
  })

  it('tells of output while it runs', async () => {
    await using standIn = await startCoordinatorStandIn(provider, {
      intercept: ({ path }, response) => {
        const [, executionId] = /executions\/(\w+)\/logs/.exec(path) ?? []
        if (!executionId) return false
        startSse(response)
        const data = Buffer.from('hello').toString('base64')
        writeSse(response, 'log', { executionId, stream: 'stdout', offset: 0, data }, 5)
        writeSse(response, 'end', {})
        return true
      },
    })
    const heard: string[] = []
    await orienFor(standIn).run({ ...request, onLog: ({ text }) => heard.push(text) })
    expect(heard).toEqual(['hello'])
  })

  const failures: [string, Lies, string][] = [
    [
      'the upload',
      {
        intercept: ({ method }, response) => {
          if (method === 'PUT') problem(response, 422, 'workspace_full')
          return method === 'PUT'
        },
      },
      'workspace_full',
    ],
    ['the receipt', { execution: (view) => ({ ...view, costMicros: micros(1n) }) }, 'receipt_mismatch'],
    [
      'the run',
      {
        intercept: ({ path }, response) => {
          const isExecute = path.endsWith('/execute')
          if (isExecute) problem(response, 409, 'provider_offline')
          return isExecute
        },
      },
      'provider_offline',
    ],
  ]
  it.each(failures)('ends its session when %s fails, and says why', async (_, lies, code) => {
    await using standIn = await startCoordinatorStandIn(provider, lies)
    await expect(orienFor(standIn).run({ ...request, files: { f: 'x' } })).rejects.toMatchObject({ code })
    expect(standIn.session().status).toBe('completed')
  })

  it('fetches nothing from a run that failed', async () => {
    const change = { status: 'failed' as const, reason: 'timed_out' as const }
    await using standIn = await startCoordinatorStandIn(provider, { run: () => ({ effectiveMs: 5, change }) })
    const { execution, files } = await orienFor(standIn).run({ ...request, download: ['out.png'] })
    expect(execution.reason).toBe('timed_out')
    expect(files).toEqual({})
  })

  it('is refused when nobody that is trusted offers the tool', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const call = orienFor(standIn, { trustedProviders: [] }).run(request)
    await expect(call).rejects.toMatchObject({ code: 'provider_offline' })
    expect(standIn.sessions.size).toBe(0)
  })
})

describe('the provider that is chosen', () => {
  const offering = (id: string, rate: bigint, reliability = 0.5): unknown => ({
    ...providerView.encode(provider.view),
    id: `prv_${id.repeat(26)}`,
    rateMicrosPerMinute: rate.toString(),
    reputation: {
      ...UNKNOWN_REPUTATION,
      feesMicros: '0',
      refundedMicros: '0',
      weightMicros: '0',
      reliability,
    },
  })
  const pages = [
    { items: [offering('1', 30n), offering('2', 10n)], nextCursor: 'more' },
    { items: [offering('3', 10n, 0.7), offering('4', 20n)] },
  ]
  const choose = async (trusted?: string[]) => {
    await using server = await startLoopback(({ path }) => pages[path.includes('cursor=more') ? 1 : 0])
    const timeouts = { connectMs: 5_000, idleMs: 5_000, totalMs: 5_000 }
    const http = createHttpClient({ baseUrl: server.url, fetch, timeouts, token: async () => undefined })
    return (await chooseProvider(http, { tool: 'render_scene', trusted })).id
  }

  it('is the cheapest on all pages, among equals the most reliable one', async () => {
    expect(await choose()).toBe(`prv_${'3'.repeat(26)}`)
  })

  it('is one of the trusted', async () => {
    expect(await choose([`prv_${'1'.repeat(26)}`, `prv_${'4'.repeat(26)}`])).toBe(`prv_${'4'.repeat(26)}`)
    await expect(choose([])).rejects.toMatchObject({ code: 'provider_offline' })
  })
})

describe('a session’s tools for a model', () => {
  it('have the names and schemas of the provider’s tools and run in the session', async () => {
    const tool = {
      id: 'render_scene',
      description: 'Renders',
      arguments: { properties: {}, required: [] },
      limits: {
        timeMs: 60_000,
        memoryBytes: 8_388_608,
        processes: 1,
        diskBytes: 1_048_576,
        outputBytes: 1_024,
      },
      network: 'none' as const,
      outputs: [],
      manifestHash: 'ab'.repeat(32),
      inputSchema: { type: 'object' },
    }
    await using standIn = await startCoordinatorStandIn(provider, {
      provider: (view) => ({ ...view, tools: [tool] }),
    })
    const session = await orienFor(standIn).openSession({
      providerId: provider.id,
      budgetMicros: request.budgetMicros,
    })
    const [bound] = await session.tools()
    expect(bound).toMatchObject({
      name: 'render_scene',
      description: 'Renders',
      inputSchema: { type: 'object' },
    })
    const turn = { turnId: 'message 1' }
    const first = await bound?.run({}, turn)
    const again = await bound?.run({}, turn)
    expect(again?.id).toBe(first?.id)
    expect(standIn.session().runs.size).toBe(1)
  })
})

describe('an idempotency key', () => {
  it('follows from the turn and the call, however its members are ordered', () => {
    const key = deriveIdempotencyKey('turn 1', { tool: 'a', args: { x: 1, y: 2 } })
    expect(deriveIdempotencyKey('turn 1', { args: { y: 2, x: 1 }, tool: 'a' })).toBe(key)
    expect(key).toMatch(/^turn_[0-9a-f]{64}$/)
  })

  it('is another one for another turn, call or repetition', () => {
    const keys = [
      deriveIdempotencyKey('turn 1', { tool: 'a' }),
      deriveIdempotencyKey('turn 2', { tool: 'a' }),
      deriveIdempotencyKey('turn 1', { tool: 'b' }),
      deriveIdempotencyKey('turn 1', { tool: 'a' }, 2),
      deriveIdempotencyKey('turn 12', { tool: 'a' }, 1),
    ]
    expect(new Set(keys).size).toBe(keys.length)
  })

  it('that follows from nothing is never the same', () => {
    expect(new Set(Array.from({ length: 100 }, randomKey)).size).toBe(100)
  })
})
