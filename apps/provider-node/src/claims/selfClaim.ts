import { add, LIMITS, OrienError, type UsdcMicros, ZERO } from '@orien/protocol'
import type { Sender } from '@orien/sdk'
import { instantOf } from '../clock.ts'
import type { Session } from '../journal/state.ts'
import { NODE_LIMITS } from '../limits.ts'
import { backClaim, closeSession } from './answerClaim.ts'
import { affordableClaims, claimAlone, leastWei } from './claimAlone.ts'
import { type ClaimReason, claimDue, type Moment } from './claimDue.ts'
import { claimParts, type OpenPart } from './claimParts.ts'
import type { Memory, SelfClaimContext, SelfClaimStatus } from './selfClaimContext.ts'
import { partOf, standOf } from './standOf.ts'
import { worthClaiming } from './worthClaiming.ts'

/** Claims by itself what is earned where the coordinator does not: see docs/exit.md. */
export type SelfClaim = { look(): Promise<void>; status(): SelfClaimStatus }

type Due = { session: Session; reason: ClaimReason; earnedMicros: UsdcMicros; settledMicros: UsdcMicros }

export function createSelfClaim(context: SelfClaimContext): SelfClaim {
  const { operator, heard } = context
  const memory: Memory = { closed: new Set(), seen: {}, paid: new Map() }
  return {
    look: async () => {
      heard.look(context.isLive())
      try {
        await lookOnce(context, memory)
      } catch (error) {
        if (error instanceof OrienError) memory.seen.fault = { code: error.code, detail: error.message }
        throw error
      }
    },
    status: () => ({
      operator: operator.address,
      silentMs: Math.round(heard.silentMs()),
      ...memory.seen,
    }),
  }
}

async function lookOnce(context: SelfClaimContext, memory: Memory): Promise<void> {
  const { chain, operator } = context
  const sender = outbid(await chain.sender(operator.address), memory.sent)
  noteGas(context, memory, sender)
  const { due: found, parts } = await lookAround(context, memory, await momentOf(context, memory))
  const { chainId } = context.claimant().offer.offer
  const due = worthClaiming(found, { chainId, maxFeePerGas: sender.maxFeePerGas })
  noteLeft(context, memory, found.length - due.length)
  // One transaction a look: the next one would need another nonce.
  if (due.length > 0) await claim(context, memory, due, sender)
  else await claimParts(context, memory, parts, sender)
}

/** Told when it changes: what is too little stays in its channel, and is claimed with more or when its payer leaves. */
function noteLeft({ log }: SelfClaimContext, memory: Memory, sessions: number): void {
  if (sessions > 0 && sessions !== memory.left) log.info({ event: 'claim.left', sessions })
  memory.left = sessions
}

async function momentOf(context: SelfClaimContext, memory: Memory): Promise<Moment> {
  const { chain, clock, heard, timing } = context
  memory.graceSeconds ??= await chain.graceSeconds()
  const isAlone = heard.aloneMs() >= timing.claimPatienceMs
  const isAbandoned = isAlone && heard.silentMs() >= timing.claimSilenceMs
  // A chain without traffic has old blocks; one that is ahead of our clock decides.
  const nowSeconds = Math.max(await chain.nowSeconds(), Math.floor(clock.nowMs() / 1_000))
  return { nowSeconds, graceSeconds: memory.graceSeconds, isAlone, isAbandoned }
}

/** A transaction of ours that is not mined yet is replaced: pools take nothing below a tenth more. */
function outbid(sender: Sender, sent: Memory['sent']): Sender {
  if (sent?.nonce !== sender.nonce) return sender
  const above = (now: bigint, then: bigint) => (now > then + then / 8n ? now : then + then / 8n + 1n)
  return {
    ...sender,
    maxFeePerGas: above(sender.maxFeePerGas, sent.maxFeePerGas),
    maxPriorityFeePerGas: above(sender.maxPriorityFeePerGas, sent.maxPriorityFeePerGas),
  }
}

/** Notes whether the operator key can pay; told once, and shown until it can. */
function noteGas({ operator, log }: SelfClaimContext, { seen }: Memory, sender: Sender): void {
  seen.balanceWei = sender.balanceWei.toString()
  if (affordableClaims(sender) > 0) {
    delete seen.fault
    return
  }
  const detail = `${operator.address} holds ${sender.balanceWei} wei; a claim of its own may take ${leastWei(sender)}`
  const fault = { code: 'insufficient_funds' as const, detail }
  if (seen.fault?.code !== fault.code) log.error({ event: 'claim.unfunded', ...fault })
  seen.fault = fault
}

async function claim(
  context: SelfClaimContext,
  memory: Memory,
  due: readonly Due[],
  sender: Sender,
): Promise<void> {
  const { chain, operator, clock, log } = context
  const claimant = context.claimant()
  const batch = due.slice(0, Math.min(LIMITS.batchClaims, affordableClaims(sender)))
  if (batch.length < due.length) log.error({ event: 'claim.postponed', sessions: due.length - batch.length })
  if (batch.length === 0) return
  await Promise.all(batch.map(({ session }) => closeSession(claimant, session)))
  const claims = batch.flatMap(({ session: { sessionId, channel }, earnedMicros: claimMicros }) =>
    channel ? [backClaim(claimant, { sessionId, channel, claimMicros })] : [],
  )
  const { payout: payee } = claimant.offer.offer
  memory.sent = sender
  const closed = await claimAlone({ chain, operator, payee, log }, 'CloseBatch', claims, sender)
  if (!closed) return
  const { hash, status } = closed.mined
  const claimedMicros = add(ZERO, ...closed.claims.map(({ claimMicros }) => claimMicros)).toString()
  const last = { at: instantOf(clock.nowMs()), hash, status, sessions: closed.claims.length, claimedMicros }
  memory.seen.last = last
  log.warn({ event: 'claim.sent', reason: batch[0]?.reason, ...last })
}

/** Sessions that have to be claimed, those with most at stake first, and those of which a part can be. */
async function lookAround(
  { claimant, channels, earnings, clock, timing, log }: SelfClaimContext,
  { closed, paid }: Memory,
  now: Moment,
): Promise<{ due: Due[]; parts: OpenPart[] }> {
  const { journal, isOpen } = claimant()
  const putOff = { nowMs: clock.nowMs(), claimEveryMs: timing.claimEveryMs }
  const left = [...journal.state.sessions.values()].filter(({ sessionId }) => !closed.has(sessionId))
  const due: Due[] = []
  const parts: OpenPart[] = []
  const look = async () => {
    for (let session = left.pop(); session; session = left.pop()) {
      const { channel, sessionId } = session
      const { sumMicros: earnedMicros } = standOf(journal, session)
      if (!channel || earnedMicros === ZERO) continue
      const reading = await channels.read(channel).catch(() => null)
      if (!reading) continue
      const { settledMicros } = reading
      const noted = { at: instantOf(clock.nowMs()), sessionId, settledMicros }
      if (reading.finalized) {
        closed.add(sessionId)
        paid.delete(sessionId)
        earnings.note({ t: 'paid', ...noted })
        continue
      }
      if (settledMicros > (paid.get(sessionId) ?? ZERO)) {
        paid.set(sessionId, settledMicros)
        earnings.note({ t: 'claimed', ...noted })
      }
      const reason = claimDue(reading, earnedMicros, now)
      if (!reason) {
        // What is closed already, or is being closed, pays all of it at once.
        if (session.closed || reading.closeRequestedAt > 0) continue
        const { sumMicros, receipt } = partOf(journal, session, putOff)
        parts.push({ session, earnedMicros: sumMicros, settledMicros, receipt })
        continue
      }
      // The guard stops its runs; their receipts belong to the claim.
      if (isOpen(sessionId)) log.warn({ event: 'claim.waits', sessionId, reason })
      else due.push({ session, reason, earnedMicros, settledMicros })
    }
  }
  await Promise.all(Array.from({ length: NODE_LIMITS.channelReadsAtOnce }, look))
  due.sort((a, b) => (a.earnedMicros < b.earnedMicros ? 1 : -1))
  return { due, parts }
}
