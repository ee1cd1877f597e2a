import { micros, OrienError } from '@orien/protocol'
import type { ChannelState } from '@orien/sdk'
import { describe, expect, test } from 'vitest'
import { openSession } from '../testing/agent.ts'
import { createTestClock } from '../testing/clock.ts'
import { offerFor } from '../testing/offer.ts'
import { type ReadChannel, watchChannels } from './channelWatch.ts'
import { guardChannels } from './guardChannels.ts'

const TIMING = { channelFreshMs: 60_000, channelWaitMs: 1_000, channelRetryMs: 100 }

function setUp(answers: (() => ChannelState | null)[]) {
  const clock = createTestClock()
  const session = openSession(offerFor().jws)
  let asked = 0
  const read: ReadChannel = async () => {
    const answer = answers[Math.min(asked, answers.length - 1)]
    asked += 1
    return answer ? answer() : session.state && { ...session.state }
  }
  const watch = watchChannels(read, clock, TIMING, new AbortController().signal)
  return { clock, session, watch, asked: () => asked }
}

const unavailable = () => {
  throw new OrienError('chain_unavailable')
}

describe('watching channels', () => {
  test('a good reading is trusted for its time and not a moment longer', async () => {
    const { clock, session, watch, asked } = setUp([])
    const check = () => watch.check(session.channel, session.voucher(1n))
    expect([await check(), await check(), asked()]).toEqual([null, null, 1])
    await clock.advance(29_999)
    expect([await check(), asked()]).toEqual([null, 1])
    await clock.advance(30_001)
    expect([await check(), asked()]).toEqual([null, 2])
  })

  test('a channel in use is read again at half of that time, and no run waits for it', async () => {
    const never = new Promise<ChannelState | null>(() => {})
    const clock = createTestClock()
    const session = openSession(offerFor().jws)
    const answers = [Promise.resolve(session.state ?? null), never]
    const read: ReadChannel = () => answers.shift() ?? never
    const watch = watchChannels(read, clock, TIMING, new AbortController().signal)
    expect(await watch.check(session.channel, session.voucher(1n))).toBeNull()
    await clock.advance(30_000)
    expect(await watch.check(session.channel, session.voucher(1n))).toBeNull()
    expect(answers).toEqual([])
  })

  test('a close that is asked for right after a reading is seen within the time that a reading is good for', async () => {
    const { clock, session, watch } = setUp([])
    const check = () => watch.check(session.channel, session.voucher(1n))
    expect(await check()).toBeNull()
    if (session.state) session.state.closeRequestedAt = 7
    await clock.advance(30_000)
    expect(await check()).toBeNull()
    await clock.advance(0)
    expect(await check()).toMatchObject({ code: 'voucher_invalid' })
  })

  test('the age of a reading counts from when the chain was asked, not from its answer', async () => {
    const late = Promise.withResolvers<ChannelState | null>()
    const clock = createTestClock()
    const session = openSession(offerFor().jws)
    let asked = 0
    const read: ReadChannel = () => {
      asked += 1
      return asked === 1 ? late.promise : Promise.resolve(session.state ?? null)
    }
    const watch = watchChannels(read, clock, TIMING, new AbortController().signal)
    const first = watch.check(session.channel, session.voucher(1n))
    await clock.advance(50_000)
    late.resolve(session.state ?? null)
    expect(await first).toBeNull()
    await clock.advance(10_000)
    await watch.check(session.channel, session.voucher(1n))
    expect(asked).toBe(2)
  })

  test('many that ask about one channel at once ask the chain once', async () => {
    const { session, watch, asked } = setUp([])
    const checks = Array.from({ length: 20 }, () => watch.check(session.channel, session.voucher(1n)))
    expect(new Set(await Promise.all(checks))).toEqual(new Set([null]))
    expect(asked()).toBe(1)
  })

  test('a voucher above the known deposit makes the chain be asked again: it may have been topped up', async () => {
    const { session, watch, asked } = setUp([])
    await watch.check(session.channel, session.voucher(1n))
    if (session.state) session.state.depositMicros = micros(20_000_000n)
    expect(await watch.check(session.channel, session.voucher(15_000_000n))).toBeNull()
    expect(asked()).toBe(2)
  })

  test('a channel that shows up within the patience is accepted, and a chain that answers late, too', async () => {
    const missing = () => null
    const { clock, session, watch } = setUp([missing, unavailable, () => session.state])
    const checked = watch.check(session.channel, session.voucher(1n))
    await clock.advance(100)
    await clock.advance(100)
    expect(await checked).toBeNull()
  })

  test('the patience has an end, and the last reason is told', async () => {
    const { clock, session, watch, asked } = setUp([unavailable])
    const checked = watch.check(session.channel, session.voucher(1n))
    for (let step = 0; step < 12; step += 1) await clock.advance(100)
    expect(await checked).toMatchObject({ code: 'chain_unavailable' })
    expect(asked()).toBe(11)
  })

  test('a closed channel is refused at once: waiting could not change it', async () => {
    const { session, watch, asked } = setUp([])
    if (session.state) session.state.finalized = true
    expect(await watch.check(session.channel, session.voucher(1n))).toMatchObject({ code: 'voucher_invalid' })
    expect(asked()).toBe(1)
  })
})

describe('guarding channels of running sessions', () => {
  const log = { info: () => {}, warn: () => {}, error: () => {} }

  test.each([
    ['a pending close stops the session', { closeRequestedAt: 7 }, true],
    ['a closed channel stops the session', { finalized: true }, true],
    ['an open channel goes on', {}, false],
  ])('%s', async (_title, change, stops) => {
    const { session, watch } = setUp([])
    Object.assign(session.state ?? {}, change)
    const stopped: string[] = []
    const sessions = new Map([[session.sessionId, { channel: session.channel } as never]])
    await guardChannels({
      state: { sessions },
      channels: watch,
      openSessions: () => [session.sessionId],
      stopSession: (id) => stopped.push(id),
      log,
    })
    expect(stopped).toEqual(stops ? [session.sessionId] : [])
  })

  test('a chain that does not answer stops nobody', async () => {
    const { session, watch } = setUp([unavailable])
    const stopped: string[] = []
    const sessions = new Map([[session.sessionId, { channel: session.channel } as never]])
    const openSessions = () => [session.sessionId]
    await guardChannels({
      state: { sessions },
      channels: watch,
      openSessions,
      stopSession: (id) => stopped.push(id),
      log,
    })
    expect(stopped).toEqual([])
  })
})
