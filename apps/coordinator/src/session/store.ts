import { and, asc, desc, eq, inArray, lt, sql } from 'drizzle-orm'
import type pg from 'pg'
import type { Executor } from '../db/executor.ts'
import { credentials, disputes, sessions, transactions } from '../db/schema.ts'

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

/** Locks sessions in the order of their ids, so that two who lock many never wait for each other in a circle. */
export async function lockSessions(tx: Executor, ids: readonly string[]): Promise<SessionRow[]> {
  return tx
    .select()
    .from(sessions)
    .where(inArray(sessions.id, [...ids]))
    .orderBy(asc(sessions.id))
    .for('update')
}

/** Changes many sessions alike. */
export async function updateSessions(
  tx: Executor,
  ids: readonly string[],
  values: Partial<NewSession>,
): Promise<void> {
  if (ids.length > 0)
    await tx
      .update(sessions)
      .set(values)
      .where(inArray(sessions.id, [...ids]))
}

export async function updateSession(
  tx: Executor,
  id: string,
  values: Partial<NewSession>,
): Promise<SessionRow> {
  const [row] = await changeSessions(tx, [id], values)
  return row as SessionRow
}

/**
 * Changes many sessions alike.
 *
 * @param events numbers of each one's events that the caller takes by this: the last ones of the rows that are returned
 */
export async function changeSessions(
  tx: Executor,
  ids: readonly string[],
  values: Partial<NewSession>,
  events = 0,
): Promise<SessionRow[]> {
  const taken = events > 0 ? { lastEvent: sql`${sessions.lastEvent} + ${events}` } : {}
  return tx
    .update(sessions)
    .set({ ...values, ...taken })
    .where(inArray(sessions.id, [...ids]))
    .returning()
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

/** Sessions that should have ended with their dispute. */
export async function selectDisputedActive(db: Executor): Promise<string[]> {
  const rows = await db
    .selectDistinct({ id: sessions.id })
    .from(sessions)
    .innerJoin(disputes, eq(disputes.sessionId, sessions.id))
    .where(eq(sessions.status, 'active'))
  return rows.map((row) => row.id)
}

/** Sessions that end, and whose last run is accounted for. */
export async function selectDrained(db: Executor): Promise<string[]> {
  const rows = await db
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(eq(sessions.status, 'ending'), eq(sessions.openExecutions, 0)))
  return rows.map((row) => row.id)
}

/** Sessions in which nothing was asked for, and nothing ran, for so long. */
export async function selectIdle(
  db: Executor,
  { idleMs, limit }: { idleMs: number; limit: number },
): Promise<string[]> {
  const before = sql`clock_timestamp() - make_interval(secs => ${idleMs / 1_000})`
  const { rows } = await db.execute<{ id: string }>(sql`
    select s.id from sessions s where s.status = 'active' and s.open_executions = 0 and s.started_at < ${before}
      and not exists (select 1 from executions e where e.session_id = s.id
        and coalesce(e.ended_at, e.created_at) >= ${before})
      limit ${limit}`)
  return rows.map(({ id }) => id)
}

/** Days for which a node that comes back is told of sessions that were over. */
const FORGET_DAYS = 7
const FORGET_AT_MOST = 1_000

/** Sessions of a provider that its node may not know to be ending or over. */
export async function selectEnded(
  db: Executor,
  providerId: string,
): Promise<{ id: string; isOver: boolean }[]> {
  const rows = await db
    .select({ id: sessions.id, status: sessions.status })
    .from(sessions)
    .where(
      and(
        eq(sessions.providerId, providerId),
        inArray(sessions.status, ['ending', 'settled', 'failed']),
        sql`${sessions.endedAt} > now() - make_interval(days => ${FORGET_DAYS})`,
      ),
    )
    .orderBy(desc(sessions.endedAt))
    .limit(FORGET_AT_MOST)
  return rows.map(({ id, status }) => ({ id, isOver: status !== 'ending' }))
}

/** A verified voucher on its way to its session; see accrue.sql. */
export type Accrual = { session: string; cumulative: string; signature: string }

/** What the session was, and the number of the event that tells of the voucher, if it raised anything. */
export type Accrued = { status?: string; budget?: string; event?: number }

export async function accrueAll(pool: pg.Pool, items: readonly Accrual[]): Promise<Accrued[]> {
  const { rows } = await pool.query<{ answers: Accrued[] }>({
    name: 'voucher_accrue',
    text: 'select voucher_accrue($1::jsonb) as answers',
    values: [JSON.stringify(items)],
  })
  return rows[0]?.answers ?? []
}

/** Remembers what open channels have paid: the most that was seen, since events are read more than once. */
export async function updateClaimed(
  db: Executor,
  claims: readonly { channelId: string; claimedMicros: bigint }[],
): Promise<void> {
  if (claims.length === 0) return
  const ids = sql.join(
    claims.map(({ channelId }) => sql`${channelId}`),
    sql`, `,
  )
  const sums = sql.join(
    claims.map(({ claimedMicros }) => sql`${claimedMicros}::bigint`),
    sql`, `,
  )
  // Locked in the order of their ids, like everywhere.
  await db.execute(sql`
    with claims as (
      select s.id, claim.micros from unnest(array[${ids}]::text[], array[${sums}]::bigint[]) as claim (channel_id, micros)
        join sessions s on s.channel_id = claim.channel_id
        where s.channel_status = 'open' and s.claimed_micros < claim.micros
        order by s.id for update of s
    )
    update sessions s set claimed_micros = claims.micros from claims where s.id = claims.id`)
}
