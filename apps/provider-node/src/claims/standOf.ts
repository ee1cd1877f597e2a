import { readReceipt, type UsdcMicros, ZERO } from '@orien/protocol'
import type { Journal } from '../journal/journal.ts'
import type { Session } from '../journal/state.ts'
import { NODE_LIMITS } from '../limits.ts'

/** What we close a session at, and the receipt whose sum that is. */
type Stand = { sumMicros: UsdcMicros; receipt?: string | undefined }

/**
 * All that our receipts say. Where the coordinator disputes one for good, it will never pay that nor what was built on
 * it, and the agent's money would stay locked: the session is closed at the last sum that both stand behind. No more is
 * given up than what was under way when we heard of it; a coordinator that disputes more than that is not believed.
 */
export function standOf({ state }: Pick<Journal, 'state'>, session: Session | undefined): Stand {
  if (!session) return { sumMicros: ZERO }
  const all = { sumMicros: session.head.cumulativeMicros, receipt: session.lastReceipt }
  const pending = [...state.pendingReceipts.values()].filter(
    ({ sessionId }) => sessionId === session.sessionId,
  )
  const [first] = pending.toSorted((a, b) => a.sequence - b.sequence)
  const isDisputed = first?.refusal?.isFinal === true && first.refusal.code === 'receipt_disputed'
  if (!isDisputed || pending.length > NODE_LIMITS.concededReceipts) return all
  const agreed = session.agreedReceipt === undefined ? null : readReceipt(session.agreedReceipt)
  return { sumMicros: agreed?.receipt.cumulativeMicros ?? ZERO, receipt: session.agreedReceipt }
}
