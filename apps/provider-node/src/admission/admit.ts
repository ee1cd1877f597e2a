import { add, type Dispatch, type Extension, type UsdcMicros, ZERO } from '@orien/protocol'
import type { JournalState } from '../journal/state.ts'
import type { Tool, ToolSet } from '../manifest/tools.ts'
import type { ChannelWatch } from './channelWatch.ts'
import {
  type CheckedWork,
  checkChannelTerms,
  checkCover,
  checkExtension,
  checkTerms,
  checkWork,
  isRefusal,
  type Refusal,
} from './checkDispatch.ts'

/** What the node judges a dispatch by; nothing of it comes from the coordinator. */
export type Judge = {
  tools: ToolSet
  /** Tools of earlier offers, by hash. */
  retired: ReadonlyMap<string, Tool>
  state: JournalState
  channels: ChannelWatch
  nowMs(): number
}

/**
 * Decides by the node's own knowledge whether a run is authorised, before anything is executed.
 *
 * @param openHoldsMicros of the session's other runs that were admitted and have no receipt
 */
export async function admit(
  judge: Judge,
  work: Dispatch,
  openHoldsMicros: UsdcMicros,
): Promise<CheckedWork | Refusal> {
  const { state } = judge
  const offer = state.offers.get(work.offerHash)
  const session = state.sessions.get(work.sessionId)
  const terms = checkTerms(work, offer, session, judge.nowMs())
  if (terms || !offer) return terms ?? { code: 'receipt_mismatch', detail: 'the offer is not one of ours' }
  const checked = checkWork(work, judge.tools, judge.retired)
  if (isRefusal(checked)) return checked
  const committed = {
    receiptsMicros: session?.head.cumulativeMicros ?? ZERO,
    openHoldsMicros,
    knownVoucherMicros: session?.voucher?.cumulativeMicros ?? ZERO,
  }
  const refusal = checkChannelTerms(work, offer.offer, session) ?? checkCover(work, committed)
  return refusal ?? (await judge.channels.check(work.channel, work.voucher)) ?? checked
}

/**
 * Decides whether the grant of a run may be raised: within what was dispatched, and covered by a voucher and a channel
 * that are checked as those of a new run are.
 *
 * @param heldMicros of the session's other runs
 */
export async function judgeExtension(
  { state, channels }: Judge,
  work: Dispatch,
  extension: Extension,
  heldMicros: UsdcMicros,
): Promise<Refusal | null> {
  const session = state.sessions.get(work.sessionId)
  const raised = { ...work, ...extension }
  const refusal = checkExtension(work, extension, session)
  if (refusal) return refusal
  const committed = {
    receiptsMicros: session?.head.cumulativeMicros ?? ZERO,
    openHoldsMicros: heldMicros,
    knownVoucherMicros: session?.voucher?.cumulativeMicros ?? ZERO,
  }
  return checkCover(raised, committed) ?? channels.check(work.channel, extension.voucher)
}

/** Σ of holds. */
export function sumHolds(works: Iterable<Pick<Dispatch, 'holdMicros'>>): UsdcMicros {
  return add(ZERO, ...Array.from(works, ({ holdMicros }) => holdMicros))
}
