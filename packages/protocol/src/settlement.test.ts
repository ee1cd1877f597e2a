import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvariantViolation } from './invariant.ts'
import {
  TRANSACTION_STATUSES,
  type TransactionEvent,
  type TransactionStatus,
  transactionTransition,
} from './settlement.ts'

type EventType = TransactionEvent['type']
const EVENTS = [
  'signed',
  'replaced',
  'broadcast',
  'mined',
  'finalised',
  'reorged',
  'displaced',
  'failed',
] as const satisfies EventType[]

/** Every legal step; all others are illegal. */
const LEGAL: Record<TransactionStatus, Partial<Record<EventType, TransactionStatus>>> = {
  planned: { signed: 'signed', failed: 'failed' },
  signed: { replaced: 'signed', broadcast: 'broadcast', mined: 'mined' },
  broadcast: { replaced: 'broadcast', broadcast: 'broadcast', mined: 'mined', displaced: 'planned' },
  mined: { finalised: 'final', reorged: 'reorged', failed: 'failed' },
  reorged: { replaced: 'reorged', broadcast: 'broadcast', mined: 'mined' },
  final: {},
  failed: {},
}

const pairs = TRANSACTION_STATUSES.flatMap((status) =>
  EVENTS.map((type) => [status, type, LEGAL[status][type]] as const),
)

function walk(events: readonly EventType[]): TransactionStatus[] {
  const path: TransactionStatus[] = ['planned']
  for (const type of events) {
    const next = transactionTransition(path.at(-1) ?? 'planned', { type })
    if (next.ok) path.push(next.status)
  }
  return path
}

describe('a transaction', () => {
  it.each(pairs.filter(([, , next]) => next !== undefined))(
    'that is %s becomes on %s %s',
    (status, type, next) => {
      expect(transactionTransition(status, { type })).toEqual({ ok: true, status: next })
    },
  )

  it.each(pairs.filter(([, , next]) => next === undefined))('that is %s refuses %s', (status, type) => {
    expect(transactionTransition(status, { type })).toEqual({ ok: false })
  })

  it('with an event outside its type is our own mistake', () => {
    expect(() => transactionTransition('mined', { type: 'lost' } as never)).toThrow(InvariantViolation)
  })

  it('is signed once, and once more only for each nonce that something else has spent for good', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...EVENTS), { maxLength: 40 }), (events) => {
        const path = walk(events)
        const begun = path.filter((status, index) => status === 'signed' && path[index - 1] !== 'signed')
        const planned = path.filter((status) => status === 'planned').length
        expect(begun.length).toBeLessThanOrEqual(planned)
        expect(planned).toBeLessThanOrEqual(1 + events.filter((type) => type === 'displaced').length)
      }),
    )
  })

  it('is final only after it was mined, and failed for good only unsent or mined: an unknown outcome stays open', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...EVENTS), { maxLength: 40 }), (events) => {
        const path = walk(events)
        if (path.at(-1) === 'final') expect(path.at(-2)).toBe('mined')
        if (path.at(-1) === 'failed') expect(['planned', 'mined']).toContain(path.at(-2))
      }),
    )
  })

  it('that was reorganised away is sent again and ends', () => {
    const path = walk(['signed', 'broadcast', 'mined', 'reorged', 'broadcast', 'mined', 'finalised'])
    expect(path).toEqual([
      'planned',
      'signed',
      'broadcast',
      'mined',
      'reorged',
      'broadcast',
      'mined',
      'final',
    ])
  })
})
