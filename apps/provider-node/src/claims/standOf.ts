import { readReceipt, type UsdcMicros, ZERO } from '@orien/protocol'
import type { Journal } from '../journal/journal.ts'
import type { Session } from '../journal/state.ts'
import { NODE_LIMITS, type Timing } from '../limits.ts'

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
  const pending = pendingOf(state, session)
  const [first] = pending
  const isDisputed = first?.refusal?.isFinal === true && first.refusal.code === 'receipt_disputed'
  if (!isDisputed || pending.length > NODE_LIMITS.concededReceipts) return all
  return agreedOf(session)
}

/**
 * What may be claimed of a session that goes on: all that both sides stand behind. A receipt that the coordinator has not
 * answered for as long as claims are put off is no reason to wait for it: it could withhold every answer.
 */
export function partOf(
  { state }: Pick<Journal, 'state'>,
  session: Session,
  { nowMs, claimEveryMs }: { nowMs: number } & Pick<Timing, 'claimEveryMs'>,
): Stand {
  const [first] = pendingOf(state, session)
  const endedAt = first && readReceipt(first.jws)?.receipt.endedAt
  const isWaitedFor = endedAt !== undefined && nowMs - Date.parse(endedAt) < claimEveryMs
  return isWaitedFor ? agreedOf(session) : standOf({ state }, session)
}

function agreedOf({ agreedReceipt }: Session): Stand {
  const agreed = agreedReceipt === undefined ? null : readReceipt(agreedReceipt)
  return { sumMicros: agreed?.receipt.cumulativeMicros ?? ZERO, receipt: agreedReceipt }
}

/** In the order in which they were signed. */
const pendingOf = (state: Journal['state'], { sessionId }: Session) =>
  [...state.pendingReceipts.values()]
    .filter((receipt) => receipt.sessionId === sessionId)
    .toSorted((a, b) => a.sequence - b.sequence)
