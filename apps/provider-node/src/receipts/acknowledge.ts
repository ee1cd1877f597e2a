import {
  countersignature as countersignatureSchema,
  decodeJws,
  ERRORS,
  type Id,
  isErrorCode,
  jwsHash,
} from '@orien/protocol'
import type { Journal } from '../journal/journal.ts'

/**
 * Takes the coordinator's acknowledgement of a receipt.
 *
 * @returns false when the countersignature is not over our receipt: then the receipt goes on waiting
 */
export function acknowledgeReceipt(
  journal: Journal,
  executionId: Id<'execution'>,
  countersignature: string,
): boolean {
  const pending = journal.state.pendingReceipts.get(executionId)
  if (!pending) return true
  const decoded = decodeJws('orien-countersignature+jws', countersignature)
  const parsed = countersignatureSchema.safeParse(decoded?.payload)
  if (!parsed.success || parsed.data.receiptHash !== jwsHash(pending.jws)) return false
  journal.note({ t: 'acknowledged', executionId, countersignature })
  return true
}

/** How a refusal is taken: `final` when the same receipt will never be accepted, `later` when it may be. */
export type Refused = 'final' | 'later'

/** Remembers the coordinator's refusal of a receipt; it is shown to the owner until the session is final. */
export function refuseReceipt(
  journal: Journal,
  executionId: Id<'execution'>,
  { code, detail }: { code: string; detail: string },
): Refused {
  const refused = classify(code)
  journal.note({
    t: 'refused',
    executionId,
    code,
    detail: detail.slice(0, 500),
    isFinal: refused === 'final',
  })
  return refused
}

function classify(code: string): Refused {
  // The one before it was forgotten, and is said again with it.
  if (code === 'receipt_out_of_order' || !isErrorCode(code)) return 'later'
  return ERRORS[code].retryable ? 'later' : 'final'
}
