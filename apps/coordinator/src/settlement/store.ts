import type { Hex, TransactionStatus } from '@orien/protocol'
import {
  and,
  asc,
  desc,
  eq,
  gt,
  inArray,
  isNotNull,
  isNull,
  lt,
  lte,
  max,
  notInArray,
  or,
  sql,
} from 'drizzle-orm'
import type pg from 'pg'
import type { PlannedTransaction } from '../context.ts'
import type { Executor } from '../db/executor.ts'
import { providers, sessions, transactions } from '../db/schema.ts'

export type TransactionRow = typeof transactions.$inferSelect

/** @returns false when it was planned before */
export async function insertTransaction(
  tx: Executor,
  id: string,
  planned: PlannedTransaction,
): Promise<boolean> {
  const rows = await tx
    .insert(transactions)
    .values({ id, status: 'planned' satisfies TransactionStatus, ...planned })
    .onConflictDoNothing()
    .returning({ id: transactions.id })
  return rows.length === 1
}

/** Transactions to be signed and sent that are not over, oldest first, those with a nonce in its order. */
export async function selectOpenTransactions(
  db: Executor,
  { except, limit }: { except: readonly string[]; limit: number },
): Promise<TransactionRow[]> {
  return db
    .select()
    .from(transactions)
    .where(
      and(
        notInArray(transactions.status, ['final', 'failed']),
        isNull(transactions.carrierId),
        except.length > 0 ? notInArray(transactions.id, [...except]) : undefined,
      ),
    )
    .orderBy(sql`${transactions.nonce} asc nulls last`, asc(transactions.createdAt))
    .limit(limit)
}

/** One that is there. */
export async function selectTransaction(db: Executor, id: string): Promise<TransactionRow> {
  const [row] = await db.select().from(transactions).where(eq(transactions.id, id))
  return row as TransactionRow
}

/** Moves a transaction on, if it still is where the caller saw it. @returns whether it was */
export async function moveTransaction(
  tx: Executor,
  row: Pick<TransactionRow, 'id' | 'status'>,
  values: Partial<typeof transactions.$inferInsert> & { status: TransactionStatus },
): Promise<boolean> {
  const rows = await tx
    .update(transactions)
    .set({ ...values, updatedAt: sql`clock_timestamp()` })
    .where(and(eq(transactions.id, row.id), eq(transactions.status, row.status)))
    .returning({ id: transactions.id })
  return rows.length === 1
}

/** Plans parts of another transaction: each is seen on its own, and shares the fate of its carrier. */
export async function insertCarried(
  tx: Executor,
  parts: readonly (PlannedTransaction & { id: string; carrierId: string })[],
): Promise<void> {
  await tx
    .insert(transactions)
    .values(parts.map((part) => ({ status: 'planned' satisfies TransactionStatus, ...part })))
}

export async function selectCarried(db: Executor, carrierId: string): Promise<TransactionRow[]> {
  return db
    .select()
    .from(transactions)
    .where(eq(transactions.carrierId, carrierId))
    .orderBy(asc(transactions.sessionId))
}

type Changes = Partial<typeof transactions.$inferInsert> & { status: TransactionStatus }

/** Moves everything that a transaction carries along with it. @returns its parts as they are now */
export async function moveCarried(
  tx: Executor,
  carrierId: string,
  values: Changes,
): Promise<TransactionRow[]> {
  return tx
    .update(transactions)
    .set({ ...values, updatedAt: sql`clock_timestamp()` })
    .where(and(eq(transactions.carrierId, carrierId), notInArray(transactions.status, ['final', 'failed'])))
    .returning()
}

/** Makes planned transactions part of another. @returns how many there were */
export async function carryAlong(tx: Executor, ids: readonly string[], carrierId: string): Promise<number> {
  const rows = await tx
    .update(transactions)
    .set({ carrierId, updatedAt: sql`clock_timestamp()` })
    .where(
      and(
        inArray(transactions.id, [...ids]),
        eq(transactions.status, 'planned'),
        isNull(transactions.carrierId),
      ),
    )
    .returning({ id: transactions.id })
  return rows.length
}

/** The same for some of its parts. */
export async function moveParts(tx: Executor, ids: readonly string[], values: Changes): Promise<void> {
  if (ids.length === 0) return
  await tx
    .update(transactions)
    .set({ ...values, updatedAt: sql`clock_timestamp()` })
    .where(inArray(transactions.id, [...ids]))
}

export async function selectHighestNonce(db: Executor): Promise<bigint | null> {
  const [row] = await db.select({ nonce: max(transactions.nonce) }).from(transactions)
  return row?.nonce ?? null
}

/** Sessions that wait for the signature of one of these providers under the final amount, so many of each at most. */
export async function selectUnclaimed(
  db: Executor,
  of: { providerIds: readonly string[]; except: readonly string[]; perProvider: number; limit: number },
) {
  if (of.providerIds.length === 0) return []
  const waiting = db
    .select({
      id: sessions.id,
      place: sql<number>`row_number() over (partition by ${sessions.providerId} order by ${sessions.id})`.as(
        'place',
      ),
    })
    .from(sessions)
    .where(
      and(
        eq(sessions.status, 'completed'),
        eq(sessions.channelStatus, 'open'),
        inArray(sessions.providerId, [...of.providerIds]),
        of.except.length > 0 ? notInArray(sessions.id, [...of.except]) : undefined,
        // One that the chain has just refused waits; one whose channel is closed is settled by what the chain says.
        sql`not exists (select 1 from ${transactions} t where t.session_id = ${sessions.id} and t.kind = 'close'
          and t.status = 'failed' and (t.error = 'ChannelFinalized'
            or t.error is not null and t.updated_at > clock_timestamp() - interval '10 seconds'))`,
      ),
    )
    .as('waiting')
  const rows = await db
    .select({ session: sessions })
    .from(waiting)
    .innerJoin(sessions, eq(sessions.id, waiting.id))
    .where(lte(waiting.place, of.perProvider))
    .orderBy(asc(sessions.id))
    .limit(of.limit)
  return rows.map((row) => row.session)
}

export async function selectFinalTransaction(db: Executor, sessionId: string, kind: 'open' | 'close') {
  const [row] = await db
    .select()
    .from(transactions)
    .where(
      and(
        eq(transactions.sessionId, sessionId),
        eq(transactions.kind, kind),
        eq(transactions.status, 'final'),
      ),
    )
  return row
}

export async function selectPayments(
  db: Executor,
  filter: { agentId: string; limit: number; cursor?: string | undefined; sessionId?: string | undefined },
): Promise<TransactionRow[]> {
  const rows = await db
    .select({ transaction: transactions })
    .from(transactions)
    .leftJoin(sessions, eq(sessions.id, transactions.sessionId))
    .where(
      and(
        or(eq(sessions.agentId, filter.agentId), eq(transactions.agentId, filter.agentId)),
        filter.cursor ? lt(transactions.id, filter.cursor) : undefined,
        filter.sessionId ? eq(sessions.id, filter.sessionId) : undefined,
      ),
    )
    .orderBy(desc(transactions.id))
    .limit(filter.limit)
  return rows.map((row) => row.transaction)
}

/** The newest transaction that a chain has confirmed to this database; null in one that has none, or no tables yet. */
export async function selectNewestConfirmed(pool: pg.Pool): Promise<Hex | null> {
  const { rows: tables } = await pool.query<{ name: string | null }>(
    `select to_regclass('transactions')::text as name`,
  )
  if (!tables[0]?.name) return null
  const { rows } = await pool.query<{ tx_hash: Hex }>(
    `select tx_hash from transactions where status in ('mined', 'final') and tx_hash is not null
      order by block_number desc limit 1`,
  )
  return rows[0]?.tx_hash ?? null
}

/** What the ledger says that a settled session paid, and where the chain should say the same. */
export type LedgerSettlement = {
  sessionId: string
  /** Null for a session that has paid and has no final closing transaction: that alone is a drift. */
  closing: { escrow: Hex; channelId: Hex; txHash: Hex; openedBlock: bigint; closedBlock: bigint } | null
  providerMicros: bigint
  platformMicros: bigint
  reserveMicros: bigint
  refundedMicros: bigint
}

type SettlementRecord = {
  session_id: string
  channel_id: Hex | null
  escrow: Hex | null
  tx_hash: Hex | null
  opened_block: bigint | null
  closed_block: bigint | null
  provider: string
  platform: string
  reserve: string
  refunded: string
}

/** Every settlement in the ledger. */
export async function selectSettlements(pool: pg.Pool): Promise<LedgerSettlement[]> {
  const { rows } = await pool.query<SettlementRecord>(
    `select t.session_id, s.channel_id, closing."to" as escrow, closing.tx_hash,
        closing.block_number as closed_block, opening.block_number as opened_block,
        coalesce(sum(e.amount_micros) filter (where t.kind = 'settlement' and e.account like 'providers:%'), 0)::text as provider,
        coalesce(sum(e.amount_micros) filter (where t.kind = 'settlement' and e.account = 'platform:fees'), 0)::text as platform,
        coalesce(sum(e.amount_micros) filter (where t.kind = 'settlement' and e.account = 'platform:reserve'), 0)::text as reserve,
        coalesce(sum(e.amount_micros) filter (where t.kind = 'refund' and e.account like 'rails:%'), 0)::text as refunded
      from ledger_transfers t
      join ledger_entries e on e.transfer_id = t.id
      join sessions s on s.id = t.session_id
      left join transactions closing on closing.session_id = s.id and closing.kind = 'close' and closing.status = 'final'
      left join transactions opening on opening.session_id = s.id and opening.kind = 'open' and opening.status = 'final'
      where t.kind in ('settlement', 'refund')
      group by t.session_id, s.channel_id, closing.id, opening.id
      order by t.session_id`,
  )
  return rows.map((row) => ({
    sessionId: row.session_id,
    closing: closingOf(row),
    providerMicros: BigInt(row.provider),
    platformMicros: BigInt(row.platform),
    reserveMicros: BigInt(row.reserve),
    refundedMicros: BigInt(row.refunded),
  }))
}

function closingOf(row: SettlementRecord): LedgerSettlement['closing'] {
  const { escrow, channel_id: channelId, tx_hash: txHash } = row
  const { opened_block: openedBlock, closed_block: closedBlock } = row
  if (!escrow || !channelId || !txHash || openedBlock === null || closedBlock === null) return null
  return { escrow, channelId, txHash, openedBlock, closedBlock }
}

/** Sessions with an open channel and a signed way out, of whose provider nobody has heard for so long. */
export async function selectAbandoned(
  db: Executor,
  of: { goneMs: number; online: readonly string[]; except: readonly string[]; limit: number },
): Promise<string[]> {
  const { goneMs, online, except, limit } = of
  const rows = await db
    .select({ id: sessions.id })
    .from(sessions)
    .innerJoin(providers, eq(providers.id, sessions.providerId))
    .where(
      and(
        inArray(sessions.status, ['active', 'ending', 'completed']),
        eq(sessions.channelStatus, 'open'),
        isNotNull(sessions.exit),
        isNull(sessions.closeRequestedAt),
        sql`coalesce(${providers.lastSeenAt}, 'epoch') < clock_timestamp() - make_interval(secs => ${goneMs / 1_000})`,
        except.length > 0 ? notInArray(sessions.id, [...except]) : undefined,
        online.length > 0 ? notInArray(sessions.providerId, [...online]) : undefined,
        sql`not exists (select 1 from ${transactions} t where t.kind = 'request_close'
          and t.reference = ${sessions.id} and t.status <> 'failed')`,
      ),
    )
    .limit(limit)
  return rows.map(({ id }) => id)
}

/** Sessions whose channel is open, and whose close was requested on the chain. */
export async function selectExiting(db: Executor, limit: number) {
  return db
    .select({ id: sessions.id, closeRequestedAt: sessions.closeRequestedAt })
    .from(sessions)
    .where(
      and(
        inArray(sessions.status, ['ending', 'completed']),
        eq(sessions.channelStatus, 'open'),
        isNotNull(sessions.closeRequestedAt),
      ),
    )
    .orderBy(asc(sessions.closeRequestedAt))
    .limit(limit)
}

export async function selectByChannel(db: Executor, channelId: string): Promise<string | undefined> {
  const [row] = await db.select({ id: sessions.id }).from(sessions).where(eq(sessions.channelId, channelId))
  return row?.id
}

/** Sessions whose last close failed because the channel was closed before it. */
export async function selectClosedElsewhere(db: Executor, limit: number) {
  const { rows } = await db.execute<{ session_id: string; channel_id: Hex; opened_block: string }>(sql`
    select s.id as session_id, s.channel_id, opening.block_number::text as opened_block from sessions s
      join transactions opening on opening.session_id = s.id and opening.kind = 'open' and opening.status = 'final'
      where s.status = 'completed' and s.channel_status = 'open' and exists (select 1 from transactions t
        where t.session_id = s.id and t.status = 'failed' and t.error = 'ChannelFinalized')
      limit ${limit}`)
  return rows.map((row) => ({
    sessionId: row.session_id,
    channelId: row.channel_id,
    openedBlock: BigInt(row.opened_block),
  }))
}

/** Sessions whose channel the books call open and unasked, in the order of their ids. */
export async function selectOpenChannels(
  db: Executor,
  { after, limit }: { after: string; limit: number },
): Promise<{ id: string; channelId: Hex }[]> {
  const rows = await db
    .select({ id: sessions.id, channelId: sessions.channelId })
    .from(sessions)
    .where(
      and(
        eq(sessions.channelStatus, 'open'),
        isNull(sessions.closeRequestedAt),
        isNotNull(sessions.channelId),
        gt(sessions.id, after),
      ),
    )
    .orderBy(asc(sessions.id))
    .limit(limit)
  return rows.map(({ id, channelId }) => ({ id, channelId: channelId as Hex }))
}

/** Of some channels, those whose sessions still take work. */
export async function selectActiveByChannel(db: Executor, channelIds: readonly Hex[]): Promise<string[]> {
  if (channelIds.length === 0) return []
  const rows = await db
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(inArray(sessions.channelId, [...channelIds]), eq(sessions.status, 'active')))
  return rows.map(({ id }) => id)
}

/** Remembers the transaction by which somebody else opened or closed a channel. */
export async function insertForeign(
  tx: Executor,
  transaction: Pick<
    TransactionRow,
    'id' | 'kind' | 'sessionId' | 'amountMicros' | 'to' | 'txHash' | 'blockNumber' | 'detail'
  >,
): Promise<TransactionRow> {
  const { sessionId } = transaction
  const [row] = await tx
    .insert(transactions)
    .values({ ...transaction, reference: sessionId ?? '', data: '0x', status: 'final' })
    .returning()
  return row as TransactionRow
}
