import { describe, expect, it } from 'vitest'
import {
  BILLABLE_STATES,
  EXECUTION_STATUSES,
  type ExecutionEvent,
  type ExecutionStatus,
  executionTransition,
  FAILURE_REASONS,
  type FailureReason,
  HOLD_STATUSES,
} from './execution.ts'
import { InvariantViolation } from './invariant.ts'
import { SESSION_STATUSES } from './session.ts'

type State = { status: ExecutionStatus; reason?: FailureReason }

/** Every state there is: the reason belongs to the state. */
const STATES: State[] = [
  { status: 'pending' },
  { status: 'running' },
  { status: 'completed' },
  ...FAILURE_REASONS.map((reason) => ({ status: 'failed' as const, reason })),
]
const RECEIPTS: ExecutionEvent[] = [
  { type: 'receipt' },
  ...FAILURE_REASONS.map((reason) => ({ type: 'receipt' as const, reason })),
]

const nameOf = ({ status, reason }: State) => (reason ? `${status} (${reason})` : status)
const isOpen = ({ status }: State) => status === 'pending' || status === 'running'
const isLost = ({ reason }: State) => reason === 'lost'

describe.each(STATES.map((state) => [nameOf(state), state] as const))(
  'an execution that is %s',
  (_, state) => {
    it('starts only when it is pending', () => {
      expect(executionTransition(state, { type: 'started' })).toEqual(
        state.status === 'pending' ? { ok: true, status: 'running' } : { ok: false },
      )
    })

    it('becomes what a receipt tells while it is open or lost, and stays as it is otherwise', () => {
      for (const event of RECEIPTS) {
        const { reason } = event as { reason?: FailureReason }
        const told = reason ? { ok: true, status: 'failed', reason } : { ok: true, status: 'completed' }
        expect(executionTransition(state, event)).toEqual(
          isOpen(state) || isLost(state) ? told : { ok: false },
        )
      }
    })

    it('is lost with its lease only while it is open', () => {
      expect(executionTransition(state, { type: 'lease_expired' })).toEqual(
        isOpen(state) ? { ok: true, status: 'failed', reason: 'lost' } : { ok: false },
      )
    })
  },
)

describe('an execution', () => {
  it('ends by a receipt or by its lease, by nothing else', () => {
    expect(() => executionTransition({ status: 'running' }, { type: 'guessed' } as never)).toThrow(
      InvariantViolation,
    )
  })
})

describe('the table of states that bill', () => {
  const rows = (thing: 'session' | 'execution') => BILLABLE_STATES.filter((row) => row.thing === thing)

  it('names every state of sessions and executions once, each with its reason', () => {
    expect(rows('session').map((row) => row.status)).toEqual([...SESSION_STATUSES])
    expect(rows('execution').map((row) => row.status)).toEqual([...EXECUTION_STATUSES])
    expect(BILLABLE_STATES.every((row) => row.why.length > 5)).toBe(true)
  })

  it('bills a running tool and nothing else', () => {
    expect(BILLABLE_STATES.filter((row) => row.bills).map((row) => `${row.thing} ${row.status}`)).toEqual([
      'execution running',
    ])
  })

  it('leaves no hold without an end', () => {
    expect(HOLD_STATUSES).toEqual(['open', 'captured', 'released', 'expired'])
  })
})
