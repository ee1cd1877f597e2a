import { and, asc, desc, eq, gt, inArray, isNotNull, isNull, lt, notInArray, sql } from 'drizzle-orm'
import type pg from 'pg'
import type { Executor } from '../db/executor.ts'
import { executions, logChunks, providers, receipts, refusals, sessions } from '../db/schema.ts'

type SessionRow = typeof sessions.$inferSelect

/** A session and, as JSON text, the tool that its provider offers under a name. */
export type Request = { session: SessionRow; tool: string | null }

const prepareRequest = (db: Executor) =>
  db
    .select({
      session: sessions,
      tool: sql<string | null>`(select tool::text from jsonb_array_elements(${providers.tools}) tool
        where tool ->> 'id' = ${sql.placeholder('tool')} limit 1)`,
    })
    .from(sessions)
    .innerJoin(providers, eq(providers.id, sessions.providerId))
    .where(eq(sessions.id, sql.placeholder('sessionId')))
    .prepare('execution_request')

// Building a query costs more than running this one.
const preparedRequests = new WeakMap<Executor, ReturnType<typeof prepareRequest>>()

/** The one read before a submit. Nothing of it is decided on but what never changes; see submit.sql. */
export async function selectRequest(
  db: Executor,
  sessionId: string,
  tool: string,
): Promise<Request | undefined> {
  const prepared = preparedRequests.get(db) ?? prepareRequest(db)
  preparedRequests.set(db, prepared)
  const [row] = await prepared.execute({ sessionId, tool })
  return row
}

/** What the submit function decides about; see submit.sql. */
export type Submission = {
  session: string
  execution: string
  key: string
  body: string
  tool: string
  manifest: string
  args: unknown
  salt: string
  limits: unknown
  limitMs: number
  maxCost?: string
  voucher?: string
  voucherSignature?: string
  minimumGrantMs: number
  oneGrantMs: number
  leaseMs: number
  maxOpen: number
}

/** What it decided. */
export type Submitted = {
  outcome: 'accepted' | 'replayed' | 'refused'
  execution: string
  code: string | null
  facts: Record<string, unknown>
  /** Of the event that was written, if one was. */
  sequence: number | null
  grant: number
  hold: string
  deadlineMs: number
  most: string | null
  voucher: string
  voucherSignature: string
  channelStatus: SessionRow['channelStatus']
  createdAt: string
}

export async function submitAll(pool: pg.Pool, items: readonly Submission[]): Promise<Submitted[]> {
  const { rows } = await pool.query<{ answers: Submitted[] }>({
    name: 'execution_submit',
    text: 'select execution_submit($1::json, $2) as answers',
    values: [JSON.stringify(items), [...new Set(items.map((item) => item.session))]],
  })
  return rows[0]?.answers ?? []
}

/** A run whose lease is over. */
export type Expired = { session: string; execution: string; sequence: number; drained: boolean }

/** @returns how many sessions were looked at, at most so many, and what was over; see expire.sql */
export async function expireLeases(
  pool: pg.Pool,
  maxSessions: number,
): Promise<{ looked: number; runs: Expired[] }> {
  const { rows } = await pool.query<{ answer: { looked: number; runs: Expired[] } }>(
    'select execution_expire($1) as answer',
    [maxSessions],
  )
  return rows[0]?.answer ?? { looked: 0, runs: [] }
}

/**
 * Says that receipts can be taken now. Leases stand still while nobody could: when nobody has said so for longer than
 * tolerated, every open lease gets that time, in the same statement, so that a crash in between loses none of it.
 */
export async function keepLeases(db: Executor, { toleratedMs }: { toleratedMs: number }): Promise<void> {
  await db.execute(sql`
    with before as materialized (
      select clock_timestamp() - at as silence from facts where name = 'alive' for update
    ), extended as (
      update executions set lease_until = lease_until + before.silence from before, sessions
        where before.silence > make_interval(secs => ${toleratedMs / 1_000}) and sessions.open_executions > 0
          and sessions.status <> 'settled' and executions.session_id = sessions.id and hold_status = 'open'
        returning 1
    )
    -- Asks for what comes before: without it the row could be written first, and then its old time is gone.
    insert into facts (name, value, at)
      select 'alive', to_jsonb(true), clock_timestamp() from (select count(*) from extended) done
      on conflict (name) do update set at = clock_timestamp()`)
}

/** A run with its session and, once it has ended, its receipt. */
export type Joined = {
  execution: Omit<typeof executions.$inferSelect, 'leaseUntil' | 'requestedMicros' | 'earlierGrants'>
  session: SessionRow
  receipt: Pick<typeof receipts.$inferSelect, 'jws' | 'countersignature'> | null
}

const joined = (db: Executor) =>
  db
    .select({ execution: executions, session: sessions, receipt: receipts })
    .from(executions)
    .innerJoin(sessions, eq(sessions.id, executions.sessionId))
    .leftJoin(receipts, eq(receipts.executionId, executions.id))

export async function selectExecution(db: Executor, id: string): Promise<Joined | undefined> {
  const [row] = await joined(db).where(eq(executions.id, id))
  return row
}

export async function selectByKey(db: Executor, sessionId: string, key: string): Promise<Joined | undefined> {
  const [row] = await joined(db).where(
    sql`${executions.sessionId} || ' ' || ${executions.idempotencyKey} = ${`${sessionId} ${key}`}`,
  )
  return row
}

export async function selectRefusal(db: Executor, sessionId: string, key: string) {
  const [row] = await db
    .select()
    .from(refusals)
    .where(and(eq(refusals.sessionId, sessionId), eq(refusals.idempotencyKey, key)))
  return row
}

export async function selectExecutions(
  db: Executor,
  filter: { sessionId: string; limit: number; cursor?: string | undefined; status?: string | undefined },
): Promise<Joined[]> {
  return joined(db)
    .where(
      and(
        eq(executions.sessionId, filter.sessionId),
        filter.cursor ? lt(executions.id, filter.cursor) : undefined,
        filter.status ? eq(executions.status, filter.status) : undefined,
      ),
    )
    .orderBy(desc(executions.id))
    .limit(filter.limit)
}

/**
 * Which open runs: of a session, one, all of a provider but those its node has in hand, or those of a provider that
 * were accepted so many milliseconds ago and have not begun.
 */
export type WorkSelector =
  | { sessionId: string }
  | { executionId: string }
  | { providerId: string; except: readonly string[] }
  | { providerId: string; pendingForMs: number }

function matches(of: WorkSelector) {
  if ('sessionId' in of) return eq(executions.sessionId, of.sessionId)
  if ('executionId' in of) return eq(executions.id, of.executionId)
  if ('except' in of) {
    const others = of.except.length > 0 ? notInArray(executions.id, [...of.except]) : undefined
    return and(eq(sessions.providerId, of.providerId), others)
  }
  const isStale = sql`${executions.createdAt} < clock_timestamp() - make_interval(secs => ${of.pendingForMs / 1_000})`
  return and(eq(sessions.providerId, of.providerId), eq(executions.status, 'pending'), isStale)
}

/** Runs that a node should have in hand: accepted, not ended, their channel open. */
export async function selectOpenWork(db: Executor, of: WorkSelector): Promise<Joined[]> {
  return joined(db)
    .where(
      and(
        matches(of),
        inArray(executions.status, ['pending', 'running']),
        eq(sessions.channelStatus, 'open'),
        // Said of the session as well, or the runs of all that are over would be looked through.
        gt(sessions.openExecutions, 0),
        isNull(receipts.hash),
      ),
    )
    .orderBy(asc(executions.id))
}

/** @returns null when the run is not this provider's or was started or ended before; see start.sql */
export async function startExecution(
  pool: pg.Pool,
  providerId: string,
  id: string,
): Promise<{ session: string; sequence: number } | null> {
  const { rows } = await pool.query<{ answer: { session: string; sequence: number } | null }>({
    name: 'execution_start',
    text: 'select execution_start($1, $2) as answer',
    values: [id, providerId],
  })
  return rows[0]?.answer ?? null
}

/** A run whose grant may be raised, as it is now; see extend.sql. */
export type Extended = {
  session: string
  hold: string
  deadlineMs: number
  /** The deadline of the grant before this one; 0 for the first. */
  beforeMs: number
  voucher: string
  voucherSignature: string
  sequence: number | null
}

/** @returns null when the run is not this provider's, has one grant, or may have no more; see extend.sql */
export async function extendExecution(
  pool: pg.Pool,
  of: { executionId: string; providerId: string; knownMs: number; usedMs: number | null },
): Promise<Extended | null> {
  const { rows } = await pool.query<{ answer: Extended | null }>({
    name: 'execution_extend',
    text: 'select execution_extend($1, $2, $3, $4) as answer',
    values: [of.executionId, of.providerId, of.knownMs, of.usedMs],
  })
  return rows[0]?.answer ?? null
}

/** Runs of a session whose next step their agent was asked for, the oldest first. */
export async function selectRequested(
  db: Executor,
  sessionId: string,
): Promise<{ id: string; providerId: string; deadlineMs: number }[]> {
  return db
    .select({ id: executions.id, providerId: sessions.providerId, deadlineMs: executions.deadlineMs })
    .from(executions)
    .innerJoin(sessions, eq(sessions.id, executions.sessionId))
    .where(
      and(
        eq(executions.sessionId, sessionId),
        eq(executions.holdStatus, 'open'),
        isNotNull(executions.requestedMicros),
      ),
    )
    .orderBy(asc(executions.id))
}

export async function markCancelRequested(tx: Executor, id: string): Promise<void> {
  await tx.update(executions).set({ cancelRequestedAt: sql`clock_timestamp()` }).where(eq(executions.id, id))
}

export type LogChunk = { executionId: string; offset: number; stream: 'stdout' | 'stderr'; data: Uint8Array }

export async function insertLogs(db: Executor, chunks: readonly LogChunk[]): Promise<void> {
  const values = chunks.map((chunk) => ({
    ...chunk,
    offset: BigInt(chunk.offset),
    data: Buffer.from(chunk.data),
  }))
  await db.insert(logChunks).values(values).onConflictDoNothing()
}

export async function selectLogs(
  db: Executor,
  executionId: string,
  from: number,
  limit: number,
): Promise<LogChunk[]> {
  const rows = await db
    .select()
    .from(logChunks)
    .where(
      and(
        eq(logChunks.executionId, executionId),
        sql`${logChunks.offset} + length(${logChunks.data}) > ${from}`,
      ),
    )
    .orderBy(asc(logChunks.offset))
    .limit(limit)
  return rows.map((row) => ({ executionId, offset: Number(row.offset), stream: row.stream, data: row.data }))
}

export async function deleteLogsBefore(db: Executor, hours: number): Promise<void> {
  await db.delete(logChunks).where(sql`${logChunks.at} < now() - make_interval(hours => ${hours})`)
}

/** Sessions with accepted work whose deposit was never sent on its way, by a crash in between. */
export async function selectUnopened(db: Executor): Promise<string[]> {
  const rows = await db
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(eq(sessions.channelStatus, 'none'), sql`${sessions.openExecutions} > 0`))
  return rows.map((row) => row.id)
}

/** Ends the lease of every open run of a session at once: its deposit was never had. */
export async function endLeases(tx: Executor, sessionId: string): Promise<void> {
  await tx
    .update(executions)
    .set({ leaseUntil: sql`clock_timestamp()` })
    .where(and(eq(executions.sessionId, sessionId), eq(executions.holdStatus, 'open')))
  await tx.update(sessions).set({ leasesFrom: sql`clock_timestamp()` }).where(eq(sessions.id, sessionId))
}
