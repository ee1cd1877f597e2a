import { z } from 'zod'
import { assertNever } from './invariant.ts'

/** The states of a transaction that the coordinator's relayer sends. */
export const TRANSACTION_STATUSES = [
  'planned',
  'signed',
  'broadcast',
  'mined',
  'final',
  'reorged',
  'failed',
] as const
/** See {@link TRANSACTION_STATUSES}. */
export const transactionStatus = z.enum(TRANSACTION_STATUSES)
/** See {@link TRANSACTION_STATUSES}. */
export type TransactionStatus = z.output<typeof transactionStatus>

/** What can happen to such a transaction. */
export type TransactionEvent =
  /** Raw bytes and nonce are stored; from here on only these bytes, or a replacement with this nonce, are ever sent. */
  | { type: 'signed' }
  /** The same action with the same nonce is signed for a higher fee, and stored: it is the one that is sent from here on. */
  | { type: 'replaced' }
  | { type: 'broadcast' }
  | { type: 'mined' }
  /** Buried as deep as the chain's profile asks. */
  | { type: 'finalised' }
  /** It was mined and is no longer there. */
  | { type: 'reorged' }
  /** Something else has spent its nonce, and that is final: none of its signed bytes can ever be mined. */
  | { type: 'displaced' }
  /** Mined and reverted, and that is final; or refused for good before it was ever signed. */
  | { type: 'failed' }

/** A transition's outcome. */
export type TransactionTransition = { ok: true; status: TransactionStatus } | { ok: false }

/** `planned → signed → broadcast → mined → final | reorged`; a reorg goes back to broadcast, a spent nonce to planned. */
export function transactionTransition(
  status: TransactionStatus,
  event: TransactionEvent,
): TransactionTransition {
  const when = (allowed: readonly TransactionStatus[], next: TransactionStatus): TransactionTransition =>
    allowed.includes(status) ? { ok: true, status: next } : { ok: false }
  switch (event.type) {
    case 'signed':
      return when(['planned'], 'signed')
    case 'replaced':
      return when(['signed', 'broadcast', 'reorged'], status)
    case 'broadcast':
      return when(['signed', 'reorged', 'broadcast'], 'broadcast')
    case 'mined':
      return when(['signed', 'broadcast', 'reorged'], 'mined')
    case 'finalised':
      return when(['mined'], 'final')
    case 'reorged':
      return when(['mined'], 'reorged')
    case 'displaced':
      return when(['broadcast'], 'planned')
    case 'failed':
      return when(['planned', 'mined'], 'failed')
    default:
      return assertNever(event)
  }
}
