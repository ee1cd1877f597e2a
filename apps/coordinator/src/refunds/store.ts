import type { RefundBounds, RefundCause } from '@orien/protocol'
import { sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'

/** Lets one refund of a provider after the other look at what is left, until the end of the transaction. */
export async function lockRefunds(tx: Executor, providerId: string): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('refunds:' || ${providerId}, 0))`)
}

/** What a provider's settlements have put into the reserve, and what was refunded out of it. */
export async function selectRefundBounds(tx: Executor, providerId: string): Promise<RefundBounds> {
  const { rows } = await tx.execute<{ contributed: string; refunded: string; today: string }>(sql`
    select
      coalesce(sum(e.amount_micros) filter (where t.kind = 'settlement'), 0)::text as contributed,
      coalesce(-sum(e.amount_micros) filter (where t.kind = 'reserve_refund'), 0)::text as refunded,
      coalesce(-sum(e.amount_micros) filter (where t.kind = 'reserve_refund'
        and t.created_at >= date_trunc('day', now() at time zone 'utc') at time zone 'utc'), 0)::text as today
    from sessions s
      join ledger_transfers t on t.session_id = s.id
      join ledger_entries e on e.transfer_id = t.id
    where s.provider_id = ${providerId} and t.kind in ('settlement', 'reserve_refund') and e.account = 'platform:reserve'`)
  const [row] = rows
  return {
    contributedMicros: BigInt(row?.contributed ?? 0),
    refundedMicros: BigInt(row?.refunded ?? 0),
    refundedTodayMicros: BigInt(row?.today ?? 0),
  }
}

/** A refund that was posted: for an execution, or for the session as a whole. */
export type RefundRow = { reference: string; refundedMicros: bigint }

/** The refunds of a session; their references name cause and subject. */
export async function selectRefunds(db: Executor, sessionId: string): Promise<RefundRow[]> {
  const { rows } = await db.execute<{ reference: string; amount: string }>(sql`
    select t.reference, (-e.amount_micros)::text as amount
      from ledger_transfers t join ledger_entries e on e.transfer_id = t.id
      where t.session_id = ${sessionId} and t.kind = 'reserve_refund' and e.account = 'platform:reserve'
      order by t.id`)
  return rows.map(({ reference, amount }) => ({ reference, refundedMicros: BigInt(amount) }))
}

/** What was settled of a session, all shares together, as the ledger took it from the chain. */
export async function selectSettled(db: Executor, sessionId: string): Promise<bigint> {
  const { rows } = await db.execute<{ settled: string }>(sql`
    select coalesce(sum(e.amount_micros) filter (where e.amount_micros > 0), 0)::text as settled
      from ledger_transfers t join ledger_entries e on e.transfer_id = t.id
      where t.session_id = ${sessionId} and t.kind = 'settlement'`)
  return BigInt(rows[0]?.settled ?? 0)
}

/** What a refund is filed under: the same loss cannot be filed twice. */
export const referenceOf = (cause: RefundCause, subject: string): string => `${cause}:${subject}`
