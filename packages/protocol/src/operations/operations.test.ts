import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { LIMITS } from '../limits.ts'
import { micros } from '../money.ts'
import { execute, initialise, listProviders, OPERATIONS, openSession, pay } from './index.ts'

const SESSION = 'ses_00000000000000000000000000'
const PROVIDER = 'prv_00000000000000000000000000'
const byId = OPERATIONS.map((op) => [op.id, op] as const)

describe('the operations table', () => {
  it('has each id and each call once', () => {
    const calls = OPERATIONS.map((op) => `${op.method} ${op.path}`)
    expect(new Set(OPERATIONS.map((op) => op.id)).size).toBe(OPERATIONS.length)
    expect(new Set(calls).size).toBe(calls.length)
  })

  it('has the calls that outside callers rely on', () => {
    const calls = OPERATIONS.map((op) => `${op.method} ${op.path}`)
    expect(calls).toEqual(
      expect.arrayContaining([
        'GET /api/health',
        'POST /api/init',
        'POST /api/auth/challenge',
        'POST /api/auth/verify',
        'GET /api/providers',
        'POST /api/providers',
        'GET /api/providers/:id',
        'PATCH /api/providers/:id',
        'DELETE /api/providers/:id',
        'POST /api/providers/:id/heartbeat',
        'GET /api/sessions',
        'POST /api/sessions',
        'GET /api/sessions/:id',
        'POST /api/sessions/:id',
        'DELETE /api/sessions/:id',
        'POST /api/sessions/:id/execute',
        'GET /api/executions/:id',
        'DELETE /api/executions/:id',
        'GET /api/metering',
        'POST /api/metering',
        'GET /api/payments',
        'POST /api/payments',
        'GET /api/sessions/:id/bill',
        'GET /api/earnings',
      ]),
    )
  })

  it.each(byId)('%s has a parameter for each place in its path, and no body where HTTP has none', (_, op) => {
    const inPath = [...op.path.matchAll(/:(\w+)/g)].map(([, name]) => name)
    expect(Object.keys(op.params?.shape ?? {})).toEqual(inPath)
    if (op.method === 'GET' || op.method === 'DELETE') expect(op.body).toBeUndefined()
  })

  it.each(byId)(
    '%s is protected, public by purpose, or authenticated by a signature in its body',
    (_, op) => {
      if (op.method !== 'GET' && op.actor === 'public') {
        expect(['initialise', 'createChallenge', 'verifyChallenge']).toContain(op.id)
      }
      if (op.actor === 'signature') expect(op.body).toBeDefined()
    },
  )

  it('asks for a key wherever money may move', () => {
    const moving = [openSession, execute, pay]
    expect(moving.every((op) => op.idempotent)).toBe(true)
  })
})

describe('bodies', () => {
  it('with an unknown field are refused', () => {
    const known = { providerId: PROVIDER, budgetMicros: '1000000' }
    expect(openSession.body.safeDecode(known as never).success).toBe(true)
    expect(openSession.body.safeDecode({ ...known, tip: '1' } as never).success).toBe(false)
    expect(initialise.body.safeDecode({ wallets: [] } as never).success).toBe(false)
  })

  it('of a session have a budget that is worth its gas', () => {
    const least = LIMITS.minimumDepositMicros
    const accepts = (amount: bigint) =>
      openSession.body.safeDecode({ providerId: PROVIDER, budgetMicros: String(amount) } as never).success
    expect(accepts(least)).toBe(true)
    expect(accepts(least - 1n)).toBe(false)
  })

  it('of a payment are told apart by their operation', () => {
    expect(pay.body.safeDecode({ operation: 'settle', sessionId: SESSION }).success).toBe(true)
    expect(pay.body.safeDecode({ operation: 'steal', sessionId: SESSION } as never).success).toBe(false)
    expect(
      pay.body.safeDecode({ operation: 'settle', sessionId: SESSION, amountMicros: '1' } as never).success,
    ).toBe(false)
  })

  it('have their defaults filled in', () => {
    expect(execute.body.decode({ tool: 'render_scene' })).toEqual({ tool: 'render_scene', args: {} })
  })

  it('become amounts inside and strings outside', () => {
    const body = { tool: 'render_scene', args: {}, maxCostMicros: micros(5n) }
    expect(z.encode(execute.body, body)).toEqual({ ...body, maxCostMicros: '5' })
  })
})

describe('queries', () => {
  const read = (query: Record<string, string>) => listProviders.query.safeDecode(query)

  it('have a page size within its limit', () => {
    expect(read({})).toMatchObject({ success: true, data: { limit: 20 } })
    expect(read({ limit: String(LIMITS.pageItems) }).success).toBe(true)
    for (const limit of ['0', '101', '-1', '1.5', 'x', '1e9']) expect(read({ limit }).success).toBe(false)
  })

  it('filter by price in micro-USDC', () => {
    expect(read({ maxRateMicros: '600000' })).toMatchObject({
      success: true,
      data: { maxRateMicros: 600_000n },
    })
    expect(read({ maxRateMicros: '0.6' }).success).toBe(false)
  })

  it('with an unknown member are refused', () => {
    expect(read({ sort: 'price' }).success).toBe(false)
  })
})
