import { type ClosingClaim, type Hex, micros, splitCumulative } from '@orien/protocol'
import { encodeBatch, type SignedBatch } from '@orien/rails'
import type { Context } from '../context.ts'
import { appendEvents } from '../events/append.ts'
import type { NewEvent } from '../events/bus.ts'
import { lockSessions, type SessionRow, updateSessions } from '../session/store.ts'

/** A session that can be closed, and whom its channel pays. */
export type Candidate = { payee: Hex; payer: Hex; claim: ClosingClaim; session: SessionRow }
/** What one provider signed. */
export type SignedGroup = { candidates: readonly Candidate[]; batch: SignedBatch }

/** Plans one transaction that closes what these providers have signed, in the order in which they signed it. */
export async function planClose(ctx: Context, groups: readonly SignedGroup[]): Promise<void> {
  await ctx.db.write(async (unit) => {
    const ids = groups.flatMap(({ candidates }) => candidates.map(({ session }) => session.id))
    const locked = new Map((await lockSessions(unit.tx, ids)).map((row) => [row.id, row]))
    // A signature covers its whole group: when one amount has changed since, all of it is asked for again.
    const sound = groups.filter(({ candidates }) =>
      candidates.every(({ session, claim }) => isAsAsked(locked.get(session.id), claim.claimMicros)),
    )
    if (sound.length === 0) return
    const closing = sound.flatMap(({ candidates, batch }) =>
      candidates.map(({ session, claim }, position) => ({
        ...{ session, claimMicros: claim.claimMicros },
        channelId: batch.terms.claims[position]?.channelId,
      })),
    )
    const call = encodeBatch(
      ctx.chain.escrow,
      'CloseBatch',
      sound.map(({ batch }) => batch),
    )
    const amountMicros = closing.reduce((sum, { claimMicros }) => sum + claimMicros, 0n)
    await ctx.outbox.planBatch(
      unit,
      { kind: 'close_batch', amountMicros, ...call, detail: {} },
      closing.map(({ session, claimMicros, channelId }) => ({
        kind: 'close' as const,
        reference: session.id,
        sessionId: session.id,
        amountMicros: claimMicros,
        detail: { channelId },
      })),
    )
    const events = closing.map(({ session }) => [session.id, plannedEvent(session)] as const)
    await appendEvents(ctx.bus, unit, new Map(events))
    await updateSessions(
      unit.tx,
      closing.map(({ session }) => session.id),
      { channelStatus: 'closing' },
    )
  })
}

const isAsAsked = (row: SessionRow | undefined, claimMicros: bigint) =>
  row?.status === 'completed' && row.channelStatus === 'open' && row.spentMicros === claimMicros

function plannedEvent({ spentMicros, depositMicros }: SessionRow): NewEvent {
  const { providerMicros, platformMicros, reserveMicros } = splitCumulative(micros(spentMicros))
  return {
    type: 'settlement.planned',
    data: {
      claimMicros: spentMicros.toString(),
      providerMicros: providerMicros.toString(),
      platformMicros: platformMicros.toString(),
      reserveMicros: reserveMicros.toString(),
      refundedMicros: (depositMicros - spentMicros).toString(),
    },
  }
}
