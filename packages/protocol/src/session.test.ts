import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantViolation } from './invariant.ts'
import {
  isSessionOver,
  SESSION_STATUSES,
  type SessionEvent,
  type SessionStatus,
  sessionTransition,
} from './session.ts'

const EVENTS = [
  'started',
  'end_requested',
  'drained',
  'settled',
  'deposit_failed',
] as const satisfies SessionEvent['type'][]

/** Every legal step; all others are illegal. */
const LEGAL: Record<SessionStatus, Partial<Record<SessionEvent['type'], SessionStatus>>> = {
  pending: { started: 'active', end_requested: 'ending' },
  active: { end_requested: 'ending', deposit_failed: 'failed' },
  ending: { drained: 'completed', deposit_failed: 'failed' },
  completed: { settled: 'settled', deposit_failed: 'failed' },
  settled: {},
  failed: {},
}

const pairs = SESSION_STATUSES.flatMap((status) =>
  EVENTS.map((type) => [status, type, LEGAL[status][type]] as const),
)

describe('a session', () => {
  it.each(pairs.filter(([, , next]) => next !== undefined))(
    'that is %s becomes on %s %s',
    (status, type, next) => {
      expect(sessionTransition(status, { type })).toEqual({ ok: true, status: next })
    },
  )

  it.each(pairs.filter(([, , next]) => next === undefined))('that is %s refuses %s', (status, type) => {
    expect(sessionTransition(status, { type })).toEqual({ ok: false })
  })

  it('that is over stays as it is, whatever happens', () => {
    for (const status of SESSION_STATUSES.filter(isSessionOver)) {
      expect(Object.keys(LEGAL[status])).toEqual([])
    }
    expect(SESSION_STATUSES.filter(isSessionOver)).toEqual(['settled', 'failed'])
  })

  it('can be ended from every state before ending, and comes to an end from every state', () => {
    const toEnd: SessionEvent[] = [{ type: 'end_requested' }, { type: 'drained' }, { type: 'settled' }]
    for (const start of SESSION_STATUSES) {
      const last = toEnd.reduce<SessionStatus>((status, event) => {
        const next = sessionTransition(status, event)
        return next.ok ? next.status : status
      }, start)
      expect(isSessionOver(last)).toBe(true)
    }
  })

  it('is settled only by way of completed, and never comes back to an earlier state', () => {
    const event = fc.constantFrom(...EVENTS)
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        const path: SessionStatus[] = ['pending']
        for (const type of events) {
          const next = sessionTransition(path.at(-1) ?? 'pending', { type })
          if (next.ok) path.push(next.status)
        }
        expect(new Set(path).size).toBe(path.length)
        if (path.includes('settled')) expect(path.at(-2)).toBe('completed')
      }),
    )
  })

  it('with an event outside its type is our own mistake', () => {
    expect(() => sessionTransition('active', { type: 'paused' } as never)).toThrow(InvariantViolation)
  })
})
