import { z } from 'zod'
import { assertNever } from './invariant.ts'

/** The states of an execution. Only the time the tool spends in `running` is billed. */
export const EXECUTION_STATUSES = ['pending', 'running', 'completed', 'failed'] as const
/** See {@link EXECUTION_STATUSES}. */
export const executionStatus = z.enum(EXECUTION_STATUSES)
/** See {@link EXECUTION_STATUSES}. */
export type ExecutionStatus = z.output<typeof executionStatus>

/** Why an execution failed. */
export const FAILURE_REASONS = [
  'timed_out',
  'budget_exhausted',
  'authorization_expired',
  'cancelled',
  'nonzero_exit',
  'out_of_memory',
  'output_limit',
  'disk_limit',
  'sandbox_error',
  'rejected',
  'lost',
] as const
/** See {@link FAILURE_REASONS}. */
export const failureReason = z.enum(FAILURE_REASONS)
/** See {@link FAILURE_REASONS}. */
export type FailureReason = z.output<typeof failureReason>

/** What can happen to an execution. */
export type ExecutionEvent =
  /** The node has executed the tool. */
  | { type: 'started' }
  /** A receipt was accepted; `reason` absent means exit status 0. */
  | { type: 'receipt'; reason?: FailureReason | undefined }
  /** The lease is over and no receipt came. */
  | { type: 'lease_expired' }

/** A transition's outcome. */
export type ExecutionTransition =
  | { ok: true; status: ExecutionStatus; reason?: FailureReason | undefined }
  | { ok: false }

/**
 * The execution machine. A terminal state comes only from a signed receipt, or, as `lost`, from the end of the lease;
 * a late receipt still turns `lost` into what it tells, because honest work is paid.
 */
export function executionTransition(
  current: { status: ExecutionStatus; reason?: FailureReason | undefined },
  event: ExecutionEvent,
): ExecutionTransition {
  const open = current.status === 'pending' || current.status === 'running'
  switch (event.type) {
    case 'started':
      return current.status === 'pending' ? { ok: true, status: 'running' } : { ok: false }
    case 'receipt': {
      if (!open && current.reason !== 'lost') return { ok: false }
      return event.reason
        ? { ok: true, status: 'failed', reason: event.reason }
        : { ok: true, status: 'completed' }
    }
    case 'lease_expired':
      return open ? { ok: true, status: 'failed', reason: 'lost' } : { ok: false }
    default:
      return assertNever(event)
  }
}

/** The states of a hold. */
export const HOLD_STATUSES = ['open', 'captured', 'released', 'expired'] as const
/** See {@link HOLD_STATUSES}. */
export type HoldStatus = (typeof HOLD_STATUSES)[number]

/** For each state of session and execution: whether it bills. Published with the API's reference. */
export const BILLABLE_STATES: readonly {
  thing: 'session' | 'execution'
  status: string
  bills: boolean
  why: string
}[] = [
  { thing: 'session', status: 'pending', bills: false, why: 'nothing is deposited yet' },
  {
    thing: 'session',
    status: 'active',
    bills: false,
    why: 'an idle session is free; only its runs are billed',
  },
  { thing: 'session', status: 'ending', bills: false, why: 'running tools are being stopped' },
  { thing: 'session', status: 'completed', bills: false, why: 'waiting for the chain' },
  { thing: 'session', status: 'settled', bills: false, why: 'paid and refunded' },
  { thing: 'session', status: 'failed', bills: false, why: 'the deposit was never had' },
  { thing: 'execution', status: 'pending', bills: false, why: 'queue, set-up and transfers are free' },
  {
    thing: 'execution',
    status: 'running',
    bills: true,
    why: 'from exec of the tool to the death of its last process',
  },
  { thing: 'execution', status: 'completed', bills: false, why: 'the run is over' },
  {
    thing: 'execution',
    status: 'failed',
    bills: false,
    why: 'the run is over; `rejected` and `lost` cost nothing',
  },
]
