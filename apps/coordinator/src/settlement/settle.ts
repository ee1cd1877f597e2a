import {
  type Hex,
  type Id,
  micros,
  planCorrection,
  planCustody,
  planSettlement,
  type SessionStatus,
  sessionTransition,
  splitCumulative,
  type Transfer,
} from '@orien/protocol'
import type { BatchOutcome } from '@orien/rails'
import type { Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { appendEvents } from '../events/append.ts'
import { insertTransfers } from '../ledger/store.ts'
import { lockSessions, type SessionRow, updateSessions } from '../session/store.ts'
import { moveCarried, moveParts, type TransactionRow } from './store.ts'

/** What the chain's own logs say about a closed channel. */
export type ClosedChannel = {
  providerMicros: bigint
  platformMicros: bigint
  reserveMicros: bigint
  refundMicros: bigint
}

/** A close that is final, and what the chain made of it. */
type FinalClose = { row: TransactionRow; closed: ClosedChannel }

/** What a batch did, for each of the closes that it carries: closed, or why not. */
export function readClosings(
  rows: readonly TransactionRow[],
  outcome: BatchOutcome,
): { closings: FinalClose[]; refused: { row: TransactionRow; error: string }[] } {
  const closings: FinalClose[] = []
  const refused: { row: TransactionRow; error: string }[] = []
  for (const row of rows) {
    const { channelId: id } = row.detail as { channelId: Hex }
    const closed = outcome.closed.find(({ channelId }) => channelId === id)
    if (!closed) {
      const error = outcome.refused.find(({ channelId }) => channelId === id)?.error
      refused.push({ row, error: error ?? outcome.refusedProviders[0]?.error ?? 'Unknown' })
      continue
    }
    // Of all claims: the shares are those of the sum, however many payments it took.
    const shares = splitCumulative(micros(closed.settledMicros))
    closings.push({ row, closed: { ...shares, refundMicros: closed.refundMicros } })
  }
  return { closings, refused }
}

/** What follows from a batch that is final: what it closed is settled, what it left out is asked for again. */
export async function settleBatch(
  ctx: Context,
  unit: Unit,
  rows: readonly TransactionRow[],
  outcome: BatchOutcome,
): Promise<void> {
  const { closings, refused } = readClosings(rows, outcome)
  for (const { row, error } of refused) {
    const { id: transaction, kind, sessionId } = row
    ctx.log.error({ event: 'settlement.failed', kind, transaction, sessionId, error })
    await moveParts(unit.tx, [row.id], { status: 'failed', error })
  }
  const refusedIds = refused.flatMap(({ row }) => row.sessionId ?? [])
  await updateSessions(unit.tx, refusedIds, { channelStatus: 'open' })
  await settleSessions(ctx, unit, closings)
}

/**
 * What follows from a batch that will never do anything. Each part is told why: what is asked for again, and what is
 * settled by what others did, depends on it.
 *
 * @param refusals by channel, where they differ
 */
export async function dropBatch(
  ctx: Context,
  unit: Unit,
  batch: TransactionRow,
  refusals: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  const rows = await moveCarried(unit.tx, batch.id, { status: 'failed', error: batch.error })
  for (const { id: transaction, kind, sessionId, detail, error: common } of rows) {
    const error = refusals.get((detail as { channelId: Hex }).channelId) ?? common
    if (error !== common) await moveParts(unit.tx, [transaction], { status: 'failed', error })
    ctx.log.error({ event: 'settlement.failed', kind, transaction, sessionId, error })
  }
  const ids = rows.flatMap((row) => row.sessionId ?? [])
  await updateSessions(unit.tx, ids, { channelStatus: 'open' })
}

/** Posts what final closes have paid, and ends their sessions; in the transaction that makes the closes final. */
export async function settleSessions(
  ctx: Context,
  unit: Unit,
  closings: readonly FinalClose[],
): Promise<void> {
  if (closings.length === 0) return
  const locked = await lockSessions(
    unit.tx,
    closings.flatMap(({ row }) => row.sessionId ?? []),
  )
  const byId = new Map(locked.map((session) => [session.id, session]))
  const sound = closings.flatMap((closing) => {
    const session = byId.get(closing.row.sessionId ?? '')
    const fault = session ? faultOf(session, closing.closed) : 'there is no such session'
    if (session && !fault) return [{ ...closing, session }]
    // Its books, or what was read of the chain, are wrong: for a person to see, and no reason against the others.
    ctx.log.fatal({ event: 'settlement.unequal', sessionId: closing.row.sessionId, fault })
    return []
  })
  await insertTransfers(
    unit.tx,
    sound.flatMap(({ row, session, closed }) => {
      const { id: sessionId, agentId } = session
      // What the chain refunds of a custodial session has come to the custody wallet, and is its agent's again.
      const refundMicros = micros(session.isCustodial ? closed.refundMicros : 0n)
      const returned = refundMicros > 0n ? [planCustody('custody_refund', agentId, refundMicros)] : []
      const transfers = [...planPostings(session, closed), ...returned]
      return transfers.map((transfer) => ({ sessionId, reference: row.id, transfer }))
    }),
  )
  const told = sound.map(({ row, closed, session }) => [session.id, settledFacts(row, closed)] as const)
  const events = (type: 'settlement.final' | 'session.settled') =>
    new Map(told.map(([sessionId, data]) => [sessionId, { type, data }]))
  await appendEvents(ctx.bus, unit, events('settlement.final'))
  await appendEvents(ctx.bus, unit, events('session.settled'))
  const ids = sound.map(({ session }) => session.id)
  const settledAt = ctx.clock.now()
  await updateSessions(unit.tx, ids, { status: 'settled', channelStatus: 'closed', settledAt })
  await moveParts(
    unit.tx,
    sound.map(({ row }) => row.id),
    { status: 'final' },
  )
  await noteOtherSums(ctx, unit, sound)
  unit.after(() => {
    for (const { session } of sound)
      ctx.nodes.send(session.providerId, {
        type: 'forgetSession',
        sessionId: session.id as Id<'session'>,
      })
  })
}

const settledBy = ({ providerMicros, platformMicros, reserveMicros }: ClosedChannel) =>
  micros(providerMicros + platformMicros + reserveMicros)

function planPostings(session: SessionRow, closed: ClosedChannel): readonly Transfer[] {
  const { id: sessionId, rail, providerId } = session
  const settledMicros = settledBy(closed)
  const spentMicros = micros(session.spentMicros)
  const depositMicros = micros(session.depositMicros)
  const correction =
    settledMicros === spentMicros ? [] : [planCorrection(sessionId, spentMicros, settledMicros)]
  const settlement = { rail, sessionId, providerId, depositMicros, spentMicros: settledMicros }
  return [...correction, ...planSettlement(settlement)]
}

/** Why a session cannot be settled by what the chain says. */
function faultOf(session: SessionRow, closed: ClosedChannel): string | null {
  const settledMicros = settledBy(closed)
  const shares = splitCumulative(settledMicros)
  const isWhole =
    closed.providerMicros === shares.providerMicros &&
    closed.platformMicros === shares.platformMicros &&
    closed.refundMicros === session.depositMicros - settledMicros
  if (!isWhole) return 'shares and refund are not those of the deposit'
  const next = sessionTransition(session.status as SessionStatus, { type: 'settled' })
  return next.ok ? null : `a session that is ${session.status} cannot be settled`
}

function settledFacts(row: TransactionRow, closed: ClosedChannel) {
  return {
    txHash: row.txHash,
    blockNumber: row.blockNumber?.toString(),
    providerMicros: closed.providerMicros.toString(),
    platformMicros: closed.platformMicros.toString(),
    reserveMicros: closed.reserveMicros.toString(),
    refundedMicros: closed.refundMicros.toString(),
  }
}

/** A close that paid something else than it was planned for says so. */
async function noteOtherSums(
  ctx: Context,
  unit: Unit,
  settled: readonly (FinalClose & { session: SessionRow })[],
): Promise<void> {
  for (const { row, closed, session } of settled) {
    const amountMicros = settledBy(closed)
    if (amountMicros !== row.amountMicros)
      await moveParts(unit.tx, [row.id], { status: 'final', amountMicros })
    if (amountMicros === session.spentMicros) continue
    const facts = { earnedMicros: `${session.spentMicros}`, settledMicros: `${amountMicros}` }
    ctx.log.warn({ event: 'settlement.other_sum', sessionId: session.id, ...facts })
  }
}
