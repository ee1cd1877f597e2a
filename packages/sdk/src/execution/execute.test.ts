import { micros, readReceipt } from '@orien/protocol'
import { describe, expect, it } from 'vitest'
import { type CoordinatorStandIn, type Lies, startCoordinatorStandIn } from '../testing/coordinatorStandIn.ts'
import { problem } from '../testing/loopback.ts'
import { bodiesOf, orienFor } from '../testing/orienFor.ts'
import { hashOf, makeProvider, newId } from '../testing/providerStandIn.ts'

const provider = await makeProvider('executor')
const stranger = await makeProvider('another node')
const budgetMicros = micros(1_000_000n)
const tool = 'render_scene'

async function openAt(standIn: CoordinatorStandIn, options: Parameters<typeof orienFor>[1] = {}) {
  return orienFor(standIn, options).openSession({ providerId: provider.id, budgetMicros })
}

const vouchersOf = (standIn: CoordinatorStandIn) =>
  bodiesOf(standIn, '/execute').map(({ voucher }) =>
    BigInt((voucher as { cumulativeMicros: string }).cumulativeMicros),
  )
const keysOf = (standIn: CoordinatorStandIn) =>
  standIn.requests
    .filter(({ path }) => path.endsWith('/execute'))
    .map(({ headers }) => headers['idempotency-key'])

describe('a run', () => {
  it('is paid for by a voucher over what was consumed and what it may cost, no more', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const session = await openAt(standIn)
    const first = await session.run({ tool, maxCostMicros: micros(20_000n) })
    expect(first).toMatchObject({ status: 'completed', costMicros: 15_000n })
    await session.run({ tool, maxCostMicros: micros(30_000n) })
    expect(vouchersOf(standIn)).toEqual([20_000n, 45_000n])
    expect(session.consumedMicros).toBe(30_000n)
  })

  it('without a cap is covered up to the tool’s limit, and near the end up to the budget', async () => {
    await using standIn = await startCoordinatorStandIn(provider, { run: () => ({ effectiveMs: 50_000 }) })
    const session = await openAt(standIn)
    await session.run({ tool })
    await session.run({ tool })
    expect(vouchersOf(standIn)).toEqual([600_000n, 1_000_000n])
  })

  it('that the budget does not cover is refused by its code, and nothing is signed beyond the budget', async () => {
    await using standIn = await startCoordinatorStandIn(provider, {
      // Each run uses all of its hold: at this rate a micro-USDC lasts a tenth of a millisecond.
      run: ({ holdMicros }) => ({ effectiveMs: Number(holdMicros / 10n) }),
    })
    const session = await openAt(standIn)
    await session.run({ tool })
    await session.run({ tool })
    await expect(session.run({ tool })).rejects.toMatchObject({ code: 'budget_exhausted' })
    expect(Math.max(...vouchersOf(standIn).map(Number))).toBeLessThanOrEqual(1_000_000)
  })

  it('of a tool that the offer has not is refused before anything is sent', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const session = await openAt(standIn)
    await expect(session.execute({ tool: 'mine_coins' })).rejects.toMatchObject({ code: 'tool_not_offered' })
    expect(keysOf(standIn)).toEqual([])
  })

  it('that failed is a result with its reason', async () => {
    const change = { status: 'failed' as const, reason: 'nonzero_exit' as const, exitCode: 3 }
    await using standIn = await startCoordinatorStandIn(provider, {
      run: () => ({ effectiveMs: 1_500, change }),
    })
    const session = await openAt(standIn)
    expect(await session.run({ tool })).toMatchObject({
      status: 'failed',
      reason: 'nonzero_exit',
      exitCode: 3,
    })
  })

  it('gives its result as soon as there is one', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const session = await openAt(standIn)
    const execution = await session.execute({ tool, waitMs: 1_000 })
    expect(execution.result?.costMicros).toBe(15_000n)
    expect(await execution.wait()).toBe(execution.result)
  })
})

describe('a run that takes its time', () => {
  it('is waited for by its events, and ends exactly once', async () => {
    await using standIn = await startCoordinatorStandIn(provider, { run: () => null })
    const session = await openAt(standIn)
    const execution = await session.execute({ tool })
    expect(execution.result).toBeUndefined()
    const both = Promise.all([execution.wait(), execution.wait()])
    const run = standIn.session().runs.get(execution.id)
    if (run) standIn.session().finish(run, 2_000)
    const [one, other] = await both
    expect(one.costMicros).toBe(20_000n)
    expect(other.costMicros).toBe(20_000n)
    expect(session.consumedMicros).toBe(20_000n)
  })

  it('is waited for across lost connections', async () => {
    let losses = 3
    await using standIn = await startCoordinatorStandIn(provider, {
      run: () => null,
      intercept: ({ path }, response) => {
        if (!path.endsWith('/events') || losses === 0) return false
        losses -= 1
        response.destroy()
        return true
      },
    })
    const session = await openAt(standIn)
    const execution = await session.execute({ tool })
    const result = execution.wait()
    const run = standIn.session().runs.get(execution.id)
    if (run) standIn.session().finish(run, 1_000)
    expect((await result).costMicros).toBe(10_000n)
  })

  it('is no longer waited for once the caller gives up, with the caller’s reason', async () => {
    await using standIn = await startCoordinatorStandIn(provider, { run: () => null })
    const session = await openAt(standIn)
    const execution = await session.execute({ tool })
    const stop = new AbortController()
    const waiting = execution.wait({ signal: stop.signal })
    stop.abort(new TypeError('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })

  it('can be many at a time: each voucher covers all that are open', async () => {
    await using standIn = await startCoordinatorStandIn(provider, { run: () => null })
    const session = await openAt(standIn)
    const cap = { tool, maxCostMicros: micros(10_000n) }
    const runs = await Promise.all(Array.from({ length: 8 }, () => session.execute(cap)))
    expect(Math.max(...vouchersOf(standIn).map(Number))).toBe(80_000)
    const results = Promise.all(runs.map((run) => run.wait()))
    // In another order than they were begun in, as parallel runs end.
    for (const { id } of [...runs].reverse()) {
      const run = standIn.session().runs.get(id)
      if (run) standIn.session().finish(run, 500)
    }
    expect((await results).map(({ costMicros }) => costMicros)).toEqual(Array(8).fill(5_000n))
    expect(session.consumedMicros).toBe(40_000n)
  })
})

describe('a higher voucher that is asked for', () => {
  it('is signed under the same key when another process of the agent holds a part of the budget', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const session = await openAt(standIn)
    standIn.session().begin(micros(50_000n))
    await session.run({ tool, maxCostMicros: micros(20_000n) })
    expect(vouchersOf(standIn)).toEqual([20_000n, 70_000n])
    expect(new Set(keysOf(standIn)).size).toBe(1)
  })

  it('is not signed when neither receipts nor holds explain it', async () => {
    await using standIn = await startCoordinatorStandIn(provider, { required: (needed) => needed + 1n })
    const session = await openAt(standIn)
    const call = session.run({ tool, maxCostMicros: micros(20_000n) })
    await expect(call).rejects.toMatchObject({ code: 'voucher_invalid' })
    expect(vouchersOf(standIn)).toEqual([20_000n])
  })

  it('is not signed above the budget', async () => {
    await using standIn = await startCoordinatorStandIn(provider, { required: () => budgetMicros + 1n })
    const session = await openAt(standIn)
    await expect(session.run({ tool })).rejects.toMatchObject({ code: 'budget_exhausted' })
  })

  it('is not asked for endlessly', async () => {
    await using standIn = await startCoordinatorStandIn(provider, {
      intercept: ({ path }, response) => {
        if (!path.endsWith('/execute')) return false
        problem(response, 402, 'voucher_required', { requiredCumulativeMicros: '10000' })
        return true
      },
    })
    const session = await openAt(standIn)
    const call = session.run({ tool, maxCostMicros: micros(10_000n) })
    await expect(call).rejects.toMatchObject({ code: 'voucher_required' })
    expect(keysOf(standIn).length).toBeLessThanOrEqual(8)
  })

  it('without a readable amount is the error that it is', async () => {
    await using standIn = await startCoordinatorStandIn(provider, {
      intercept: ({ path }, response) => {
        if (!path.endsWith('/execute')) return false
        problem(response, 402, 'voucher_required', { requiredCumulativeMicros: '1e9' })
        return true
      },
    })
    const session = await openAt(standIn)
    await expect(session.run({ tool })).rejects.toMatchObject({ code: 'voucher_required' })
    expect(keysOf(standIn)).toHaveLength(1)
  })
})

describe('a call that is repeated', () => {
  it('in the same turn runs and costs once', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const session = await openAt(standIn)
    const call = { tool, args: { width: 64 }, turnId: 'message 1' }
    const [first, second] = [await session.run(call), await session.run(call)]
    expect(second.id).toBe(first.id)
    expect(standIn.session().runs.size).toBe(1)
    expect(session.consumedMicros).toBe(15_000n)
  })

  it('in another turn, or with other arguments, runs again', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const session = await openAt(standIn)
    for (const call of [
      { args: { width: 64 }, turnId: 'message 1' },
      { args: { width: 64 }, turnId: 'message 2' },
      { args: { width: 65 }, turnId: 'message 1' },
      { args: { width: 64 } },
      { args: { width: 64 } },
    ]) {
      await session.run({ tool, maxCostMicros: micros(20_000n), ...call })
    }
    expect(standIn.session().runs.size).toBe(5)
  })

  it('because its answer was lost runs once: the repetition has its key', async () => {
    let losses = 1
    await using standIn = await startCoordinatorStandIn(provider, {
      run: (run) => {
        void run
        return { effectiveMs: 1_500 }
      },
      intercept: async ({ path }, response) => {
        if (!path.endsWith('/execute') || losses === 0) return false
        losses -= 1
        response.destroy()
        return true
      },
    })
    const session = await openAt(standIn)
    await session.run({ tool })
    expect(new Set(keysOf(standIn)).size).toBe(1)
    expect(standIn.session().runs.size).toBe(1)
  })
})

describe('a result that is not what the node signed', () => {
  const cases: [string, Lies, string][] = [
    [
      'a higher price',
      { execution: (view) => ({ ...view, costMicros: micros(15_001n) }) },
      'receipt_mismatch',
    ],
    [
      'another end',
      { execution: (view) => ({ ...view, status: 'failed', reason: 'lost' }) },
      'receipt_mismatch',
    ],
    ['another exit status', { execution: (view) => ({ ...view, exitCode: 1 }) }, 'receipt_mismatch'],
    ['more time', { execution: (view) => ({ ...view, effectiveMs: 1_501 }) }, 'receipt_mismatch'],
    ['another run', { execution: (view) => ({ ...view, id: newId('execution') }) }, 'receipt_mismatch'],
    ['another tool', { execution: (view) => ({ ...view, tool: 'run_build' }) }, 'receipt_mismatch'],
    [
      'a hold above the cap',
      { execution: (view) => ({ ...view, holdMicros: budgetMicros }) },
      'receipt_mismatch',
    ],
    ['no receipt', { execution: ({ receipt: _, ...view }) => view }, 'receipt_mismatch'],
    ['no text of a receipt', { execution: (view) => ({ ...view, receipt: 'receipt' }) }, 'receipt_mismatch'],
  ]
  it.each(cases)('in %s is refused', async (_, lies, code) => {
    await using standIn = await startCoordinatorStandIn(provider, lies)
    const session = await openAt(standIn)
    await expect(session.run({ tool })).rejects.toMatchObject({ code })
  })

  it('by another node’s signature is refused', async () => {
    await using standIn = await startCoordinatorStandIn(provider, {
      execution: (view) => {
        const receipt = view.receipt && readReceipt(view.receipt)?.receipt
        if (!receipt) return view
        const { executionId, sessionId, channelId, sequence, previous, effectiveMs, holdMicros } = receipt
        const base = {
          executionId,
          sessionId,
          sequence,
          previous,
          effectiveMs,
          holdMicros,
          cumulativeBefore: 0n,
        }
        return {
          ...view,
          receipt: stranger.receipt(
            { ...base, channelId: channelId as `0x${string}` },
            { providerId: provider.id },
          ),
        }
      },
    })
    const session = await openAt(standIn)
    await expect(session.run({ tool })).rejects.toMatchObject({ code: 'signature_invalid' })
  })
})

describe('a receipt that the node should not have signed', () => {
  const cases: [string, Parameters<typeof provider.receipt>[1] & object, string][] = [
    [
      'a cost that time and rate do not give',
      { costMicros: micros(16_000n), cumulativeMicros: micros(16_000n) },
      'receipt_disputed',
    ],
    ['a sum that is not the sum', { cumulativeMicros: micros(99_000n) }, 'receipt_disputed'],
    ['a cost above its hold', { holdMicros: micros(1n) }, 'receipt_mismatch'],
    ['another predecessor', { previous: hashOf('fork') }, 'receipt_out_of_order'],
    ['another rate', { rateMicrosPerMinute: micros(1n) }, 'receipt_mismatch'],
    ['another version of the tool', { manifestHash: hashOf('other') }, 'receipt_mismatch'],
    ['another session', { sessionId: newId('session') }, 'receipt_mismatch'],
    ['another channel', { channelId: `0x${hashOf('x')}` }, 'receipt_mismatch'],
  ]
  it.each(cases)('with %s is refused, and the chain stops there', async (_, change, code) => {
    await using standIn = await startCoordinatorStandIn(provider, {
      run: () => ({ effectiveMs: 1_500, change }),
    })
    const session = await openAt(standIn)
    await expect(session.run({ tool })).rejects.toMatchObject({ code })
    expect(session.consumedMicros).toBe(0n)
  })

  it('ends all signing for its session', async () => {
    const change = { cumulativeMicros: micros(99_000n) }
    await using standIn = await startCoordinatorStandIn(provider, {
      run: () => ({ effectiveMs: 1_500, change }),
    })
    const session = await openAt(standIn)
    await expect(session.run({ tool })).rejects.toMatchObject({ code: 'receipt_disputed' })
    const signed = vouchersOf(standIn).length
    await expect(session.run({ tool })).rejects.toMatchObject({ code: 'receipt_disputed' })
    expect(vouchersOf(standIn)).toHaveLength(signed)
  })
})

describe('the end of a session', () => {
  const settle = (standIn: CoordinatorStandIn) => {
    standIn.session().status = 'settled'
    standIn.session().emit('session.settled', {})
  }

  it('is waited for, and its bill is what the receipts add up to', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const session = await openAt(standIn)
    await session.run({ tool })
    await session.end()
    const settled = session.settled()
    settle(standIn)
    expect((await settled).consumedMicros).toBe(15_000n)
  })

  it('asked for twice is answered twice, and ends once', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const session = await openAt(standIn)
    expect((await session.end()).status).toBe('completed')
    expect((await session.end()).status).toBe('completed')
    expect(standIn.session().events.filter(({ type }) => type === 'session.completed')).toHaveLength(1)
  })

  it('that has failed is over: asking for its end tells how it stands', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const session = await openAt(standIn)
    standIn.session().status = 'failed'
    expect((await session.end()).status).toBe('failed')
  })

  it('with a higher sum than its receipts is refused', async () => {
    await using standIn = await startCoordinatorStandIn(provider, {
      session: (view) =>
        view.status === 'settled' ? { consumedMicros: micros(view.consumedMicros + 1n) } : {},
    })
    const session = await openAt(standIn)
    await session.run({ tool })
    await session.end()
    settle(standIn)
    await expect(session.settled()).rejects.toMatchObject({ code: 'receipt_disputed' })
  })
})
