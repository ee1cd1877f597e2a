import {
  type EventType,
  type Hex,
  type Id,
  invariant,
  micros,
  planDeposit,
  planSettlement,
  type SessionStatus,
  sessionTransition,
  splitCumulative,
} from '@orien/protocol'
import { type ChainClient, readSettlement } from '@orien/rails'
import type { Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { appendEvent } from '../events/append.ts'
import { insertTransfer } from '../ledger/store.ts'
import { updateProvider } from '../provider/store.ts'
import { lockSession, type SessionRow, updateSession } from '../session/store.ts'
import { endLeases, type TransactionRow } from './store.ts'

/** What the chain's own logs say about a closed channel. */
export type ClosedChannel = {
  providerMicros: bigint
  platformMicros: bigint
  reserveMicros: bigint
  refundMicros: bigint
}

/** @returns null when the chain cannot be asked now */
export async function readClosedChannel(
  ctx: Context,
  client: ChainClient,
  row: TransactionRow,
): Promise<ClosedChannel | null> {
  const { channelId } = row.detail as { channelId: Hex }
  const block = row.blockNumber ?? 0n
  const reading = await readSettlement(client, ctx.chain.escrow, channelId, {
    fromBlock: block,
    toBlock: block,
  })
  if (reading.status !== 'settled') return null
  const { payeeMicros, platformMicros, reserveMicros, refundMicros } = reading.settlement
  return { providerMicros: payeeMicros, platformMicros, reserveMicros, refundMicros }
}

const CLOSING_EVENTS: Partial<Record<string, EventType>> = {
  broadcast: 'settlement.broadcast',
  mined: 'settlement.mined',
  reorged: 'settlement.reorged',
}

/** Tells the session's readers where its settlement stands. */
export async function announce(ctx: Context, unit: Unit, row: TransactionRow): Promise<void> {
  const type = row.kind === 'close' ? CLOSING_EVENTS[row.status] : undefined
  if (!type || !row.sessionId) return
  await appendEvent(ctx.bus, unit, row.sessionId, {
    type,
    data: { txHash: row.txHash, blockNumber: row.blockNumber?.toString() },
  })
}

/** What follows from a transaction that is final, in the transaction that makes it so. */
export async function applySuccess(
  ctx: Context,
  unit: Unit,
  row: TransactionRow,
  closed: ClosedChannel | null,
): Promise<void> {
  switch (row.kind) {
    case 'open':
      return opened(ctx, unit, row)
    case 'top_up':
      return toppedUp(ctx, unit, row)
    case 'close':
      invariant(closed, 'a final close was read from the chain')
      return settled(ctx, unit, row, closed)
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

async function settled(ctx: Context, unit: Unit, row: TransactionRow, closed: ClosedChannel): Promise<void> {
  const session = await sessionOf(unit, row)
  const spentMicros = micros(session.spentMicros)
  const shares = splitCumulative(spentMicros)
  const asPlanned =
    closed.providerMicros === shares.providerMicros &&
    closed.platformMicros === shares.platformMicros &&
    closed.reserveMicros === shares.reserveMicros &&
    closed.refundMicros === session.depositMicros - spentMicros
  // The contract computes the same split; another one means that its logs or our books are wrong.
  invariant(asPlanned, `the chain settled ${session.id} differently from the ledger`)
  const next = sessionTransition(session.status as SessionStatus, { type: 'settled' })
  invariant(next.ok, `a session that is ${session.status} cannot be settled`)
  const { id: sessionId, rail, providerId } = session
  const transfers = planSettlement({
    rail,
    sessionId,
    providerId,
    depositMicros: micros(session.depositMicros),
    spentMicros,
  })
  for (const transfer of transfers) await insertTransfer(unit.tx, { sessionId, reference: row.id }, transfer)
  const data = {
    txHash: row.txHash,
    blockNumber: row.blockNumber?.toString(),
    providerMicros: closed.providerMicros.toString(),
    platformMicros: closed.platformMicros.toString(),
    reserveMicros: closed.reserveMicros.toString(),
    refundedMicros: closed.refundMicros.toString(),
  }
  await appendEvent(ctx.bus, unit, sessionId, { type: 'settlement.final', data })
  await appendEvent(ctx.bus, unit, sessionId, { type: 'session.settled', data })
  await updateSession(unit.tx, sessionId, {
    status: next.status,
    channelStatus: 'closed',
    settledAt: ctx.clock.now(),
  })
  unit.after(() =>
    ctx.nodes.send(providerId, { type: 'forgetSession', sessionId: sessionId as Id<'session'> }),
  )
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
  if (row.kind === 'close') await updateSession(unit.tx, row.sessionId ?? '', { channelStatus: 'open' })
}

async function depositFailed(ctx: Context, unit: Unit, row: TransactionRow): Promise<void> {
  const session = await sessionOf(unit, row)
  const next = sessionTransition(session.status as SessionStatus, { type: 'deposit_failed' })
  if (!next.ok) return
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
