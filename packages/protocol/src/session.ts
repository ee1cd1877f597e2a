import { z } from 'zod'
import { assertNever } from './invariant.ts'

/** The states of a session. Only `active` accepts work; nothing bills by itself: only runs do. */
export const SESSION_STATUSES = ['pending', 'active', 'ending', 'completed', 'settled', 'failed'] as const
/** See {@link SESSION_STATUSES}. */
export const sessionStatus = z.enum(SESSION_STATUSES)
/** See {@link SESSION_STATUSES}. */
export type SessionStatus = z.output<typeof sessionStatus>

/** What can happen to a session. */
export type SessionEvent =
  /** The agent gave its channel and its signed deposit. */
  | { type: 'started' }
  /** The agent asked for the end, or a dispute or a fault forces it. */
  | { type: 'end_requested' }
  /** The last open run has its receipt, or its lease is over. */
  | { type: 'drained' }
  /** Payout and refund are final, or there was nothing on the chain to settle. */
  | { type: 'settled' }
  /** The deposit cannot be had. Only possible while nothing was spent. */
  | { type: 'deposit_failed' }

/** A transition's outcome: the next state, or that there is none. */
export type SessionTransition = { ok: true; status: SessionStatus } | { ok: false }

const to = (status: SessionStatus): SessionTransition => ({ ok: true, status })
const illegal: SessionTransition = { ok: false }

/**
 * The session machine: `pending → active → ending → completed → settled`, or `failed`.
 * An end is possible from any state before `ending`, at once, and needs nobody's permission.
 */
export function sessionTransition(status: SessionStatus, event: SessionEvent): SessionTransition {
  switch (event.type) {
    case 'started':
      return status === 'pending' ? to('active') : illegal
    case 'end_requested':
      return status === 'pending' || status === 'active' ? to('ending') : illegal
    case 'drained':
      return status === 'ending' ? to('completed') : illegal
    case 'settled':
      return status === 'completed' ? to('settled') : illegal
    case 'deposit_failed':
      return status === 'active' || status === 'ending' || status === 'completed' ? to('failed') : illegal
    default:
      return assertNever(event)
  }
}

/** Whether a session can still change. */
export function isSessionOver(status: SessionStatus): boolean {
  return status === 'settled' || status === 'failed'
}
