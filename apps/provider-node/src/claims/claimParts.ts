import { add, LIMITS, type UsdcMicros, ZERO } from '@orien/protocol'
import type { Sender } from '@orien/sdk'
import { instantOf } from '../clock.ts'
import type { Session } from '../journal/state.ts'
import { NODE_LIMITS } from '../limits.ts'
import { affordableClaims, claimAlone } from './claimAlone.ts'
import { partsDue, payableOf } from './partsDue.ts'
import type { Memory, SelfClaimContext } from './selfClaimContext.ts'

/** A channel that goes on, and what our receipts say of it. */
export type OpenPart = {
  session: Session
  earnedMicros: UsdcMicros
  settledMicros: UsdcMicros
  /** Whose sum `earnedMicros` is. */
  receipt: string | undefined
}

/** Claims of channels that go on what stands unclaimed, when that is too much or for too long. Their work goes on. */
export async function claimParts(
  context: SelfClaimContext,
  memory: Memory,
  open: readonly OpenPart[],
  sender: Sender,
): Promise<void> {
  const { chain, operator, clock, timing, log } = context
  const { chainId, payout: payee } = context.claimant().offer.offer
  const covered = open.filter(
    ({ session: { voucher }, earnedMicros }) => voucher && voucher.cumulativeMicros >= earnedMicros,
  )
  if (covered.every((part) => payableOf(part) === ZERO)) {
    delete memory.unclaimedFromMs
    return
  }
  memory.unclaimedFromMs ??= clock.monotonicMs()
  const due = partsDue(covered, {
    gas: { chainId, maxFeePerGas: sender.maxFeePerGas },
    threshold: thresholdOf(context),
    waitedMs: clock.monotonicMs() - memory.unclaimedFromMs,
    claimEveryMs: timing.claimEveryMs,
  })
  if (!due) return
  const most = due.parts.toSorted((a, b) => (payableOf(a) < payableOf(b) ? 1 : -1))
  const batch = most.slice(0, Math.min(LIMITS.batchClaims, affordableClaims(sender)))
  const claims = batch.flatMap(({ session: { sessionId, channel, voucher }, earnedMicros, receipt }) =>
    channel && voucher && receipt
      ? [{ sessionId, channel, claimMicros: earnedMicros, voucher, receipt }]
      : [],
  )
  memory.sent = sender
  const sent = await claimAlone({ chain, operator, payee, log }, 'ClaimBatch', claims, sender)
  if (!sent) return
  delete memory.unclaimedFromMs
  const claimed = new Set<string>(sent.claims.map(({ sessionId }) => sessionId))
  const paying = batch.filter(({ session }) => claimed.has(session.sessionId))
  const claimedMicros = add(ZERO, ...paying.map(payableOf)).toString()
  const { hash, status } = sent.mined
  memory.seen.last = { at: instantOf(clock.nowMs()), hash, status, sessions: paying.length, claimedMicros }
  log.info({ event: 'claim.sent', reason: due.reason, ...memory.seen.last })
}

function thresholdOf({ unclaimedMicros }: SelfClaimContext) {
  const isChosen = unclaimedMicros !== undefined
  return { micros: unclaimedMicros ?? NODE_LIMITS.unclaimedMicros, isChosen }
}
