import { and, asc, eq, gt } from 'drizzle-orm'
import type pg from 'pg'
import type { Executor } from '../db/executor.ts'
import { executions, receipts } from '../db/schema.ts'

/** A verified receipt on its way into the ledger; see record.sql. */
export type Recording = {
  execution: string
  session: string
  provider: string
  /** That the receipt names and that its signature was checked with. */
  nodeKey: string
  channel: string
  sequence: number
  previous: string
  hash: string
  jws: string
  countersignature: string
  tool: string
  manifest: string
  grant: number
  rate: string
  hold: string
  deadlineMs: number
  status: string
  reason?: string
  cost: string
  cumulative: string
  effectiveMs: number
  cpuMs: number
  maxRss: string
  readBytes?: number
  writtenBytes?: number
  exitCode: number | null
  startedAt: string
  endedAt: string
  observedMs?: number
  /** Its start was reported and is not written yet. */
  wasStarted: boolean
  toleranceMs: number
  tolerancePerMille: number
}

/** What became of it. */
export type Recorded = {
  outcome: 'accepted' | 'replayed' | 'refused' | 'disputed'
  code: string | null
  detail: string
  countersignature: string
  session: string
  /** Of the event that was written, if one was. */
  sequence: number | null
  drained: boolean
}

export async function recordAll(pool: pg.Pool, items: readonly Recording[]): Promise<Recorded[]> {
  const { rows } = await pool.query<{ answers: Recorded[] }>({
    name: 'receipt_record',
    text: 'select receipt_record($1::json, $2) as answers',
    values: [JSON.stringify(items), [...new Set(items.map((item) => item.session))]],
  })
  return rows[0]?.answers ?? []
}

export async function selectReceipts(
  db: Executor,
  filter: { sessionId: string; limit: number; after?: number | undefined },
) {
  return db
    .select({ receipt: receipts, execution: executions })
    .from(receipts)
    .innerJoin(executions, eq(executions.id, receipts.executionId))
    .where(
      and(
        eq(receipts.sessionId, filter.sessionId),
        filter.after === undefined ? undefined : gt(receipts.sequence, filter.after),
      ),
    )
    .orderBy(asc(receipts.sequence))
    .limit(filter.limit)
}
