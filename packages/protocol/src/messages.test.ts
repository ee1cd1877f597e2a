import { describe, expect, it } from 'vitest'
import { EPHEMERAL_TYPES, EVENT_TYPES, logEvent, meterEvent, sessionEvent } from './events.ts'
import { assertNever, InvariantViolation, invariant } from './invariant.ts'
import { coordinatorName, fromNode, toNode } from './nodeMessages.ts'
import { STREAMS } from './streams.ts'
import { durationMsSchema, instant, MAX_DURATION_MS } from './time.ts'

const EXECUTION = 'exe_00000000000000000000000000'
const at = '2026-11-23T04:00:00.000Z'

describe('numbered events', () => {
  it('have a number above zero, a known type and a time', () => {
    const event = { sequence: 1, type: 'session.created', at, data: {} }
    expect(sessionEvent.safeParse(event).success).toBe(true)
    expect(sessionEvent.safeParse({ ...event, sequence: 0 }).success).toBe(false)
    expect(sessionEvent.safeParse({ ...event, type: 'session.paused' }).success).toBe(false)
    expect(sessionEvent.safeParse({ ...event, at: 'now' }).success).toBe(false)
  })

  it('are told apart from those that have no number', () => {
    expect(EVENT_TYPES.filter((type) => (EPHEMERAL_TYPES as readonly string[]).includes(type))).toEqual([])
  })
})

describe('live messages', () => {
  it('carry output as base64 with the place where it belongs', () => {
    const log = { executionId: EXECUTION, stream: 'stdout', offset: 0, data: 'aGk=' }
    expect(logEvent.safeParse(log).success).toBe(true)
    expect(logEvent.safeParse({ ...log, data: 'h i' }).success).toBe(false)
    expect(logEvent.safeParse({ ...log, offset: -1 }).success).toBe(false)
    expect(logEvent.safeParse({ ...log, stream: 'stdin' }).success).toBe(false)
  })

  it('carry effective time in whole milliseconds', () => {
    expect(meterEvent.safeParse({ executionId: EXECUTION, effectiveMs: 5 }).success).toBe(true)
    expect(meterEvent.safeParse({ executionId: EXECUTION, effectiveMs: 0.5 }).success).toBe(false)
  })
})

describe('messages between coordinator and node', () => {
  it('are refused with an unknown type or field', () => {
    expect(toNode.safeDecode({ type: 'cancel', executionId: EXECUTION }).success).toBe(true)
    expect(toNode.safeDecode({ type: 'shell', command: 'ls' } as never).success).toBe(false)
    expect(toNode.safeDecode({ type: 'cancel', executionId: EXECUTION, force: true } as never).success).toBe(
      false,
    )
    expect(fromNode.safeDecode({ type: 'started', executionId: EXECUTION, at }).success).toBe(true)
    expect(fromNode.safeDecode({ type: 'started', executionId: 'exe_1', at } as never).success).toBe(false)
  })

  it('carry amounts as strings', () => {
    const channel = {
      chainId: 1,
      ...{ escrow: `0x${'11'.repeat(20)}`, token: `0x${'22'.repeat(20)}`, payer: `0x${'33'.repeat(20)}` },
      ...{ payee: `0x${'44'.repeat(20)}`, salt: `0x${'55'.repeat(32)}` },
      authorizedSigner: `0x${'66'.repeat(20)}`,
    }
    const claim = { sessionId: EXECUTION.replace('exe', 'ses'), channel, claimMicros: '15' }
    const request = { type: 'claimRequest', requestId: 1, deadline: 1_900_000_000 } as const
    expect(toNode.safeDecode({ ...request, claims: [claim] })).toMatchObject({
      success: true,
      data: { claims: [{ claimMicros: 15n }] },
    })
    expect(toNode.safeDecode({ ...request, claims: [{ ...claim, claimMicros: 15 }] } as never).success).toBe(
      false,
    )
    expect(toNode.safeDecode({ ...request, claims: [] }).success).toBe(false)
  })
})

describe('times', () => {
  it.each(['2026-11-23T04:00:00Z', at, '2024-02-29T23:59:59.999Z'])('may be %s', (text) => {
    expect(instant.safeParse(text).success).toBe(true)
  })

  it.each([
    '2026-11-23',
    '2026-11-23T04:00:00',
    '2026-11-23T04:00:00+00:00',
    '2026-02-30T00:00:00Z',
    '1764000000',
  ])('may not be %s', (text) => {
    expect(instant.safeParse(text).success).toBe(false)
  })

  it('that last are whole milliseconds up to a day', () => {
    expect(durationMsSchema.safeParse(0).success).toBe(true)
    expect(durationMsSchema.safeParse(MAX_DURATION_MS).success).toBe(true)
    for (const wrong of [-1, 0.5, MAX_DURATION_MS + 1, '5'])
      expect(durationMsSchema.safeParse(wrong).success).toBe(false)
  })
})

describe('our own mistakes', () => {
  it('are told apart from errors that a caller can meet', () => {
    expect(() => invariant(false, 'never')).toThrow(InvariantViolation)
    expect(() => invariant(true, 'never')).not.toThrow()
    expect(() => assertNever('x' as never)).toThrow('unexpected value "x"')
  })
})

describe('streams', () => {
  it('stand beside the table with a path and a name each', () => {
    const names = STREAMS.map(({ description }) => description.operationId)
    expect(new Set(names).size).toBe(STREAMS.length)
    expect(STREAMS.every(({ path }) => path.startsWith('/'))).toBe(true)
  })
})

describe('the name of a coordinator', () => {
  it.each([
    ['https://Orien.EXAMPLE:8443/api?x=1', 'orien.example'],
    ['wss://user@orien.example', 'orien.example'],
    ['http://127.8.0.1:3000', 'localhost'],
    ['ws://[::1]:3000', 'localhost'],
    ['http://localhost.evil.example', 'localhost.evil.example'],
    ['http://127.0.0.1.evil.example', '127.0.0.1.evil.example'],
  ])('of %s is %s', (url, name) => {
    expect(coordinatorName(url)).toBe(name)
  })
})
