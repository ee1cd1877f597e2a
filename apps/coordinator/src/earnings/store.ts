import { and, asc, eq, gt, sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'
import { executions, providers, receipts, sessions, transactions } from '../db/schema.ts'

export type EarningRow = {
  receipt: typeof receipts.$inferSelect
  execution: typeof executions.$inferSelect
  session: typeof sessions.$inferSelect
  closing: typeof transactions.$inferSelect | null
}

export async function selectEarnings(
  db: Executor,
  filter: { payout: string; limit: number; cursor?: string | undefined; providerId?: string | undefined },
): Promise<EarningRow[]> {
  // Many receipts are recorded at one time: the time alone would leave some of them between two pages.
  const behind = sql`(${receipts.recordedAt}, ${receipts.executionId}) > (
    SELECT recorded_at, execution_id FROM receipts WHERE execution_id = ${filter.cursor})`
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
        filter.cursor ? behind : undefined,
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
