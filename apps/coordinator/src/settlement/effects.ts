import {
  type EventType,
  type Id,
  invariant,
  micros,
  planDeposit,
  type SessionStatus,
  sessionTransition,
} from '@orien/protocol'
import type { Context } from '../context.ts'
import { releaseBudget } from '../custody/commit.ts'
import { applyTransfer, fundSession } from '../custody/effects.ts'
import type { Unit } from '../db/executor.ts'
import { appendEvent, appendEvents } from '../events/append.ts'
import { endLeases } from '../execution/store.ts'
import { insertTransfer } from '../ledger/store.ts'
import { updateProvider } from '../provider/store.ts'
import { lockSession, type SessionRow, updateSession } from '../session/store.ts'
import { type ClosedChannel, settleSessions } from './settle.ts'
import type { TransactionRow } from './store.ts'

const CLOSING_EVENTS: Partial<Record<string, EventType>> = {
  broadcast: 'settlement.broadcast',
  mined: 'settlement.mined',
  reorged: 'settlement.reorged',
}

/** Tells the sessions' readers where their settlements stand. */
export async function announce(ctx: Context, unit: Unit, rows: readonly TransactionRow[]): Promise<void> {
  const events = rows.flatMap((row) => {
    const type = row.kind === 'close' ? CLOSING_EVENTS[row.status] : undefined
    const data = { txHash: row.txHash, blockNumber: row.blockNumber?.toString() }
    return type && row.sessionId ? [[row.sessionId, { type, data }] as const] : []
  })
  await appendEvents(ctx.bus, unit, new Map(events))
}

/** What follows from a transaction that is final, in the transaction that makes it so. */
export async function applySuccess(
  ctx: Context,
  unit: Unit,
  row: TransactionRow,
  closed: ClosedChannel | null = null,
): Promise<void> {
  switch (row.kind) {
    case 'open':
      return opened(ctx, unit, row)
    case 'top_up':
      return toppedUp(ctx, unit, row)
    case 'close':
      invariant(closed, 'a final close was read from the chain')
      return settleSessions(ctx, unit, [{ row, closed }])
    case 'open_batch':
    case 'close_batch':
      return
    case 'request_close':
      return closeRequested(ctx, unit, row)
    case 'custody_deposit':
    case 'withdrawal':
      return applyTransfer(unit, row)
    case 'set_operator':
      await updateProvider(unit.tx, row.providerId ?? '', { isOperatorAuthorised: true })
  }
}

async function sessionOf(unit: Unit, row: TransactionRow): Promise<SessionRow> {
  const session = await lockSession(unit.tx, row.sessionId ?? '')
  invariant(session, 'a channel’s transaction names its session')
  return session
}

async function opened(ctx: Context, unit: Unit, row: TransactionRow): Promise<void> {
  const session = await sessionOf(unit, row)
  const amount = micros(row.amountMicros)
  await insertTransfer(
    unit.tx,
    { sessionId: session.id, reference: row.id },
    planDeposit(session.rail, session.id, amount),
  )
  await fundSession(unit, session, amount)
  await updateSession(unit.tx, session.id, { channelStatus: 'open', depositMicros: amount })
  const data = { depositMicros: amount.toString(), txHash: row.txHash }
  await appendEvent(ctx.bus, unit, session.id, { type: 'deposit.final', data })
  unit.after(
    () =>
      void ctx.dispatcher
        .send({ sessionId: session.id })
        .catch((err: unknown) => ctx.log.warn({ event: 'dispatch.failed', err })),
  )
}

async function toppedUp(ctx: Context, unit: Unit, row: TransactionRow): Promise<void> {
  const session = await sessionOf(unit, row)
  const amount = micros(row.amountMicros)
  await insertTransfer(
    unit.tx,
    { sessionId: session.id, reference: row.id },
    planDeposit(session.rail, session.id, amount),
  )
  const budgetMicros = session.budgetMicros + amount
  await updateSession(unit.tx, session.id, { budgetMicros, depositMicros: session.depositMicros + amount })
  const data = {
    additionalMicros: amount.toString(),
    budgetMicros: budgetMicros.toString(),
    txHash: row.txHash,
  }
  await appendEvent(ctx.bus, unit, session.id, { type: 'session.topped_up', data })
}

/** What follows from a transaction that will never succeed. */
export async function applyFailure(ctx: Context, unit: Unit, row: TransactionRow): Promise<void> {
  ctx.log.error({
    event: 'settlement.failed',
    kind: row.kind,
    transaction: row.id,
    sessionId: row.sessionId,
    error: row.error,
  })
  if (row.kind === 'open') return depositFailed(ctx, unit, row)
  // The claim is asked for again: a signature that expired while the chain was away is the usual cause.
  if (row.kind === 'close') await reopenSession(ctx, unit, row)
  // Somebody asked before us, or closed it: what the chain says of it is noticed by whoever watches channels.
  if (row.kind === 'request_close' && row.error === 'ClosePending') await closeRequested(ctx, unit, row)
}

async function reopenSession(ctx: Context, unit: Unit, row: TransactionRow): Promise<void> {
  // The payer has taken its request back, or the chain's clock is behind ours: the wait begins anew.
  const isEarly = row.error === 'CloseNotReady'
  await updateSession(unit.tx, row.sessionId ?? '', {
    channelStatus: 'open',
    ...(isEarly ? { closeRequestedAt: ctx.clock.now() } : {}),
  })
}

/** The grace period runs: from now on, whoever has a claim makes it. */
async function closeRequested(ctx: Context, unit: Unit, row: TransactionRow): Promise<void> {
  const session = await sessionOf(unit, row)
  if (!session.closeRequestedAt)
    await updateSession(unit.tx, session.id, { closeRequestedAt: ctx.clock.now() })
}

async function depositFailed(ctx: Context, unit: Unit, row: TransactionRow): Promise<void> {
  const session = await sessionOf(unit, row)
  const next = sessionTransition(session.status as SessionStatus, { type: 'deposit_failed' })
  if (!next.ok) return
  if (session.isCustodial) await releaseBudget(unit, session)
  await endLeases(unit.tx, session.id)
  await updateSession(unit.tx, session.id, {
    status: next.status,
    channelStatus: 'failed',
    endedAt: ctx.clock.now(),
  })
  await appendEvent(ctx.bus, unit, session.id, {
    type: 'session.failed',
    data: { cause: 'deposit', error: row.error },
  })
  const message = { type: 'forgetSession' as const, sessionId: session.id as Id<'session'> }
  unit.after(() => ctx.nodes.send(session.providerId, message))
}
