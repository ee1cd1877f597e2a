import { add, type Dispatch, type UsdcMicros, ZERO } from '@orien/protocol'
import type { JournalState } from '../journal/state.ts'
import type { Tool, ToolSet } from '../manifest/tools.ts'
import type { ChannelWatch } from './channelWatch.ts'
import {
  type CheckedWork,
  checkChannelTerms,
  checkCover,
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

/** Σ of holds. */
export function sumHolds(works: Iterable<Pick<Dispatch, 'holdMicros'>>): UsdcMicros {
  return add(ZERO, ...Array.from(works, ({ holdMicros }) => holdMicros))
}
