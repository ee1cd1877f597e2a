import { and, desc, eq, inArray, lt, sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'
import { credentials, sessions, transactions } from '../db/schema.ts'

export type SessionRow = typeof sessions.$inferSelect
export type NewSession = typeof sessions.$inferInsert

export async function insertSession(tx: Executor, values: NewSession): Promise<SessionRow> {
  const [row] = await tx.insert(sessions).values(values).returning()
  return row as SessionRow
}

export async function selectSession(db: Executor, id: string): Promise<SessionRow | undefined> {
  const [row] = await db.select().from(sessions).where(eq(sessions.id, id))
  return row
}

export async function lockSession(tx: Executor, id: string): Promise<SessionRow | undefined> {
  const [row] = await tx.select().from(sessions).where(eq(sessions.id, id)).for('update')
  return row
}

export async function updateSession(
  tx: Executor,
  id: string,
  values: Partial<NewSession>,
): Promise<SessionRow> {
  const [row] = await tx.update(sessions).set(values).where(eq(sessions.id, id)).returning()
  return row as SessionRow
}

export async function selectSessions(
  db: Executor,
  filter: {
    agentId: string
    limit: number
    cursor?: string | undefined
    status?: string | undefined
    providerId?: string | undefined
  },
): Promise<SessionRow[]> {
  return db
    .select()
    .from(sessions)
    .where(
      and(
        eq(sessions.agentId, filter.agentId),
        filter.cursor ? lt(sessions.id, filter.cursor) : undefined,
        filter.status ? eq(sessions.status, filter.status) : undefined,
        filter.providerId ? eq(sessions.providerId, filter.providerId) : undefined,
      ),
    )
    .orderBy(desc(sessions.id))
    .limit(filter.limit)
}

/** Adds a session's budget to what its key has spent. @returns false when that would pass the key's cap */
export async function spendFromKey(tx: Executor, credentialId: string, amount: bigint): Promise<boolean> {
  const rows = await tx
    .update(credentials)
    .set({ spentMicros: sql`${credentials.spentMicros} + ${amount}` })
    .where(
      and(
        eq(credentials.id, credentialId),
        sql`(${credentials.spendCapMicros} is null or ${credentials.spentMicros} + ${amount} <= ${credentials.spendCapMicros})`,
      ),
    )
    .returning({ id: credentials.id })
  return rows.length === 1
}

export type TransactionRow = typeof transactions.$inferSelect

/** The latest closing transaction of each session. */
export async function selectClosings(
  db: Executor,
  sessionIds: readonly string[],
): Promise<Map<string, TransactionRow>> {
  if (sessionIds.length === 0) return new Map()
  const rows = await db
    .select()
    .from(transactions)
    .where(and(eq(transactions.kind, 'close'), inArray(transactions.sessionId, [...sessionIds])))
    .orderBy(transactions.createdAt)
  return new Map(rows.map((row) => [row.sessionId ?? '', row]))
}
