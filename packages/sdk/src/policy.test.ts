import { micros } from '@orien/protocol'
import { describe, expect, it } from 'vitest'
import { memorySpendingRecord, type Policy, SpendingGuard } from './policy.ts'
import { startCoordinatorStandIn } from './testing/coordinatorStandIn.ts'
import { bodiesOf, orienFor } from './testing/orienFor.ts'
import { makeProvider } from './testing/providerStandIn.ts'

const provider = await makeProvider('policy')
const DAY_MS = 86_400_000
const guardOf = (policy: Policy) => new SpendingGuard(policy, memorySpendingRecord())
const exceeded = expect.objectContaining({ code: 'spend_cap_exceeded' })

describe('a cap per call', () => {
  const guard = guardOf({ maxPerCallMicros: micros(100n) })

  it('is the most that a call may ask for, and what it gets when it asks for nothing', () => {
    expect(guard.callCap(micros(100n))).toBe(100n)
    expect(guard.callCap(micros(1n))).toBe(1n)
    expect(guard.callCap(undefined)).toBe(100n)
    expect(() => guard.callCap(micros(101n))).toThrow(exceeded)
  })

  it('that is not set leaves a call as it is', () => {
    expect(guardOf({}).callCap(undefined)).toBeUndefined()
    expect(guardOf({}).callCap(micros(5n))).toBe(5n)
  })
})

describe('a cap per session', () => {
  it('bounds the sum of its deposits', () => {
    const guard = guardOf({ maxPerSessionMicros: micros(100n) })
    expect(() => guard.assertSession(100n)).not.toThrow()
    expect(() => guard.assertSession(101n)).toThrow(exceeded)
  })
})

describe('what is counted', () => {
  it('bounds a session by our own record, whatever anybody says that it holds', async () => {
    const guard = guardOf({ maxPerSessionMicros: micros(100n), maxPerDayMicros: micros(150n) })
    await guard.countDeposit('ses_1', micros(60n), 0)
    await expect(guard.countDeposit('ses_1', micros(41n), DAY_MS)).rejects.toEqual(exceeded)
    await expect(guard.countDeposit('ses_2', micros(91n), 0)).rejects.toEqual(exceeded)
    // What the day refused was not counted into its session either.
    await guard.countDeposit('ses_2', micros(90n), 0)
  })
})

describe('a cap per day', () => {
  it('bounds deposits, counts refunds back, and begins anew each day', async () => {
    const guard = guardOf({ maxPerDayMicros: micros(100n) })
    await guard.countDeposit('ses_1', micros(60n), 0)
    await expect(guard.countDeposit('ses_1', micros(41n), 1)).rejects.toEqual(exceeded)
    await guard.countDeposit('ses_1', micros(40n), DAY_MS - 1)
    await guard.countDeposit('ses_1', micros(100n), DAY_MS)
    await guard.countRefund(micros(30n), 0)
    await guard.countDeposit('ses_1', micros(30n), 0)
    await expect(guard.countDeposit('ses_1', micros(1n), DAY_MS)).rejects.toEqual(exceeded)
  })

  it('holds for deposits that are made at the same time', async () => {
    const guard = guardOf({ maxPerDayMicros: micros(100n) })
    const deposits = Array.from({ length: 20 }, () => guard.countDeposit('ses_1', micros(30n), 0))
    const outcomes = await Promise.allSettled(deposits)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  })

  it('is not lifted by a refund of more than was spent', async () => {
    const guard = guardOf({ maxPerDayMicros: micros(100n) })
    await guard.countRefund(micros(1_000n), 0)
    await expect(guard.countDeposit('ses_1', micros(101n), 0)).rejects.toEqual(exceeded)
  })

  it('survives the process when its record does', async () => {
    const record = memorySpendingRecord()
    await new SpendingGuard({ maxPerDayMicros: micros(100n) }, record).countDeposit('ses_1', micros(80n), 0)
    const next = new SpendingGuard({ maxPerDayMicros: micros(100n) }, record)
    await expect(next.countDeposit('ses_1', micros(21n), 0)).rejects.toEqual(exceeded)
  })
})

describe('an agent with caps', () => {
  const request = { providerId: provider.id, budgetMicros: micros(1_000_000n) }

  it('cannot deposit more into a session than its cap, by opening or by topping up', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const orien = orienFor(standIn, { policy: { maxPerSessionMicros: micros(1_000_000n) } })
    await expect(orien.openSession({ ...request, budgetMicros: micros(1_000_001n) })).rejects.toEqual(
      exceeded,
    )
    const session = await orien.openSession(request)
    await expect(session.topUp(micros(1n))).rejects.toEqual(exceeded)
    expect(bodiesOf(standIn, session.id).map(({ action }) => action)).toEqual(['start'])
  })

  it('cannot deposit more in a day than its cap, over all sessions', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const orien = orienFor(standIn, { policy: { maxPerDayMicros: micros(1_500_000n) } })
    await orien.openSession(request)
    await expect(orien.openSession(request)).rejects.toEqual(exceeded)
  })

  it('gets back into its day what a session did not use', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const orien = orienFor(standIn, { policy: { maxPerDayMicros: micros(1_500_000n) } })
    const session = await orien.openSession(request)
    await session.run({ tool: 'render_scene' })
    await session.end()
    standIn.session().status = 'settled'
    await session.settled()
    await session.settled()
    expect((await orien.openSession(request)).id).not.toBe(session.id)
    await expect(orien.openSession(request)).rejects.toEqual(exceeded)
  })

  it('sends its cap with a call that has none, and refuses one that asks for more', async () => {
    await using standIn = await startCoordinatorStandIn(provider)
    const orien = orienFor(standIn, { policy: { maxPerCallMicros: micros(20_000n) } })
    const session = await orien.openSession(request)
    await session.run({ tool: 'render_scene' })
    const [body] = bodiesOf(standIn, '/execute')
    expect(body).toMatchObject({ maxCostMicros: '20000', voucher: { cumulativeMicros: '20000' } })
    const call = session.run({ tool: 'render_scene', maxCostMicros: micros(20_001n) })
    await expect(call).rejects.toEqual(exceeded)
    expect(bodiesOf(standIn, '/execute')).toHaveLength(1)
  })
})
