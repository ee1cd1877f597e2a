import type { TransactionStatus } from '@orien/protocol'
import { and, asc, desc, eq, gt, inArray, isNotNull, lt, max, notInArray, sql } from 'drizzle-orm'
import type { PlannedTransaction } from '../context.ts'
import type { Executor } from '../db/executor.ts'
import { executions, providers, receipts, sessions, transactions } from '../db/schema.ts'

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

/** Transactions that are not over, oldest first, those with a nonce in its order. */
export async function selectOpenTransactions(db: Executor, limit: number): Promise<TransactionRow[]> {
  return db
    .select()
    .from(transactions)
    .where(notInArray(transactions.status, ['final', 'failed']))
    .orderBy(sql`${transactions.nonce} asc nulls last`, asc(transactions.createdAt))
    .limit(limit)
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

export async function selectHighestNonce(db: Executor): Promise<bigint | null> {
  const [row] = await db.select({ nonce: max(transactions.nonce) }).from(transactions)
  return row?.nonce ?? null
}

/** Sessions that wait for their provider's signature under the final amount. */
export async function selectUnclaimed(db: Executor, limit: number) {
  return db
    .select()
    .from(sessions)
    .where(and(eq(sessions.status, 'completed'), eq(sessions.channelStatus, 'open')))
    .orderBy(asc(sessions.id))
    .limit(limit)
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
    .innerJoin(sessions, eq(sessions.id, transactions.sessionId))
    .where(
      and(
        eq(sessions.agentId, filter.agentId),
        filter.cursor ? lt(transactions.id, filter.cursor) : undefined,
        filter.sessionId ? eq(sessions.id, filter.sessionId) : undefined,
      ),
    )
    .orderBy(desc(transactions.id))
    .limit(filter.limit)
  return rows.map((row) => row.transaction)
}

export type EarningRow = {
  receipt: typeof receipts.$inferSelect
  execution: typeof executions.$inferSelect
  session: typeof sessions.$inferSelect
  closing: TransactionRow | null
}

export async function selectEarnings(
  db: Executor,
  filter: { payout: string; limit: number; after?: Date | undefined; providerId?: string | undefined },
): Promise<EarningRow[]> {
  return db
    .select({ receipt: receipts, execution: executions, session: sessions, closing: transactions })
    .from(receipts)
    .innerJoin(executions, eq(executions.id, receipts.executionId))
    .innerJoin(sessions, eq(sessions.id, receipts.sessionId))
    .innerJoin(providers, eq(providers.id, sessions.providerId))
    .leftJoin(
      transactions,
      and(
        eq(transactions.sessionId, sessions.id),
        eq(transactions.kind, 'close'),
        eq(transactions.status, 'final'),
      ),
    )
    .where(
      and(
        eq(providers.payout, filter.payout),
        filter.providerId ? eq(providers.id, filter.providerId) : undefined,
        filter.after ? gt(receipts.recordedAt, filter.after) : undefined,
      ),
    )
    .orderBy(asc(receipts.recordedAt), asc(receipts.executionId))
    .limit(filter.limit)
}

/** Spent by session, for the totals of a statement: the split works on whole sessions. */
export async function selectSpentBySession(
  db: Executor,
  filter: { payout: string; providerId?: string | undefined },
) {
  return db
    .select({ spentMicros: sessions.spentMicros, isSettled: sql<boolean>`${sessions.status} = 'settled'` })
    .from(sessions)
    .innerJoin(providers, eq(providers.id, sessions.providerId))
    .where(
      and(
        eq(providers.payout, filter.payout),
        filter.providerId ? eq(providers.id, filter.providerId) : undefined,
        gt(sessions.spentMicros, 0n),
      ),
    )
}

/** Ends the lease of every open run of a session at once: its deposit was never had. */
export async function endLeases(tx: Executor, sessionId: string): Promise<void> {
  await tx
    .update(executions)
    .set({ leaseUntil: sql`clock_timestamp()` })
    .where(and(eq(executions.sessionId, sessionId), eq(executions.holdStatus, 'open')))
}

/** Age in seconds of the oldest money that is earned and not yet final on the chain. */
export async function selectOldestUnpaid(db: Executor): Promise<number> {
  const [row] = await db
    .select({ age: sql<string | null>`extract(epoch from now() - min(${sessions.endedAt}))` })
    .from(sessions)
    .where(and(inArray(sessions.status, ['ending', 'completed']), isNotNull(sessions.endedAt)))
  return Number(row?.age ?? 0)
}
