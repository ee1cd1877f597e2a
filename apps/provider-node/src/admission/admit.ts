import { add, type Dispatch, type UsdcMicros, ZERO } from '@orien/protocol'
import type { JournalState } from '../journal/state.ts'
import type { ToolSet } from '../manifest/tools.ts'
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
  state: JournalState
  channels: ChannelWatch
  nowMs(): number
}

/** What the session has open besides this run. */
export type Reservations = {
  openHoldsMicros(): UsdcMicros
  /** The highest voucher of what is open; all of them were checked. */
  highestVoucherMicros(): UsdcMicros
  /** From here on the run counts among the open ones. */
  reserve(): void
}

/**
 * Decides by the node's own knowledge whether a run is authorised, before anything is executed. Between the sum of
 * what is open and the reservation there is no await: two runs never lean on the same part of a voucher.
 */
export async function admit(
  judge: Judge,
  work: Dispatch,
  reservations: Reservations,
): Promise<CheckedWork | Refusal> {
  const { state } = judge
  const offer = state.offers.get(work.offerHash)
  const session = state.sessions.get(work.sessionId)
  const terms = checkTerms(work, offer, session, judge.nowMs())
  if (terms || !offer) return terms ?? { code: 'receipt_mismatch', detail: 'the offer is not one of ours' }
  const checked = checkWork(work, judge.tools)
  if (isRefusal(checked)) return checked
  const committed = {
    receiptsMicros: session?.head.cumulativeMicros ?? ZERO,
    openHoldsMicros: reservations.openHoldsMicros(),
    knownVoucherMicros: greatest(
      session?.voucher?.cumulativeMicros ?? ZERO,
      reservations.highestVoucherMicros(),
    ),
  }
  const refusal = checkChannelTerms(work, offer.offer, session) ?? checkCover(work, committed)
  if (refusal) return refusal
  reservations.reserve()
  return (await judge.channels.check(work.channel, work.voucher)) ?? checked
}

/** The larger of two amounts. */
function greatest(one: UsdcMicros, other: UsdcMicros): UsdcMicros {
  return one > other ? one : other
}

/** The highest voucher of some works. */
export function highestVoucher(works: Iterable<Pick<Dispatch, 'voucher'>>): UsdcMicros {
  return Array.from(works, ({ voucher }) => voucher.cumulativeMicros).reduce(greatest, ZERO)
}

/** Σ of holds. */
export function sumHolds(works: Iterable<Pick<Dispatch, 'holdMicros'>>): UsdcMicros {
  return add(ZERO, ...Array.from(works, ({ holdMicros }) => holdMicros))
}
