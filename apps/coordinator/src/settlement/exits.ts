import { type ExitAuthorization, type Hex, invariant } from '@orien/protocol'
import { encodeRequestCloseWithAuthorization, encodeWithdraw } from '@orien/rails'
import type { Context } from '../context.ts'
import { appendEvent } from '../events/append.ts'
import { endLeases } from '../execution/store.ts'
import type { Patience } from '../jobs/patience.ts'
import { isExitPaid } from '../relayer/allowance.ts'
import { beginEnd } from '../session/end.ts'
import { relayOf } from '../session/openChannel.ts'
import { lockSession, updateSession } from '../session/store.ts'
import { selectAbandoned, selectExiting } from './store.ts'

/**
 * Silence after which a provider counts as gone. With what follows it leaves room for the refund within two minutes of
 * the grace period; a node that comes back during it is paid, but its sessions are over.
 */
const PROVIDER_GONE_MS = 90_000
const BATCH = 100

/**
 * Relays the way out that agents signed ahead, for sessions whose provider is gone: no new work, and the grace period
 * begins. Nothing is concluded from silence while nobody was there to hear.
 *
 * Whoever sent its deposit by itself and has not paid for the gas of a way out leaves by itself as well.
 *
 * @param upMs how long this process has been listening
 */
export async function leaveGone(
  ctx: Context,
  { upMs, patience }: { upMs: number; patience: Patience },
): Promise<void> {
  const goneMs = ctx.config.providerGoneMs ?? PROVIDER_GONE_MS
  if (upMs < goneMs) return
  const of = { goneMs, online: ctx.nodes.online(), except: patience.resting(), limit: BATCH }
  for (const id of await selectAbandoned(ctx.db.read, of))
    if (!(await requestClose(ctx, id))) patience.failed(id)
}

/** @returns false when its gas is not paid for */
async function requestClose(ctx: Context, id: string): Promise<boolean> {
  return ctx.db.write(async (unit) => {
    const row = await lockSession(unit.tx, id)
    const exit = row?.exit as ExitAuthorization | null | undefined
    if (!row?.channelId || !exit || row.channelStatus !== 'open' || row.closeRequestedAt) return true
    const channelId = row.channelId as Hex
    const request = { ...exit, channelId, nonce: BigInt(exit.nonce) }
    const isActive = row.status === 'active'
    await beginEnd(ctx, unit, row, 'provider_gone')
    if (!(await isExitPaid(ctx, unit, relayOf(row, row.payer as Hex)))) {
      if (isActive) ctx.log.warn({ event: 'session.exit_unpaid', sessionId: id })
      return false
    }
    await ctx.outbox.plan(unit, {
      kind: 'request_close',
      reference: row.id,
      sessionId: row.id,
      amountMicros: 0n,
      ...encodeRequestCloseWithAuthorization(ctx.chain.escrow, request),
      detail: { channelId },
    })
    ctx.log.warn({ event: 'session.provider_gone', sessionId: id, providerId: row.providerId })
    return true
  })
}

/**
 * Sends the refund of channels whose grace period is over. Runs that are still open then can never be paid: their
 * leases end, and the refund follows as soon as the session is accounted for.
 */
export async function refundDue(ctx: Context): Promise<void> {
  const exiting = await selectExiting(ctx.db.read, BATCH)
  if (exiting.length === 0) return
  // A chain without traffic has old blocks; one that is ahead of our clock decides.
  const nowMs = Math.max(ctx.clock.now().getTime(), (await ctx.rail.now()) * 1_000)
  for (const { id, closeRequestedAt } of exiting) {
    invariant(closeRequestedAt, 'what is exiting has asked for it')
    if (closeRequestedAt.getTime() + ctx.chain.closeGraceMs < nowMs) await refund(ctx, id)
  }
}

async function refund(ctx: Context, id: string): Promise<void> {
  await ctx.db.write(async (unit) => {
    const row = await lockSession(unit.tx, id)
    if (!row?.channelId || row.channelStatus !== 'open') return
    if (row.openExecutions > 0) return endLeases(unit.tx, id)
    if (row.status !== 'completed') return
    await ctx.outbox.plan(unit, {
      kind: 'close',
      reference: row.id,
      sessionId: row.id,
      amountMicros: 0n,
      ...encodeWithdraw(ctx.chain.escrow, row.channelId as Hex),
      detail: { channelId: row.channelId },
    })
    const data = { claimMicros: '0', refundedMicros: row.depositMicros.toString() }
    await appendEvent(ctx.bus, unit, id, { type: 'settlement.planned', data })
    await updateSession(unit.tx, id, { channelStatus: 'closing' })
  })
}
