import { type Hex, type RefundBounds, type RefundCause, type RefundItem, refundCause } from '@orien/protocol'
import { sql } from 'drizzle-orm'
import type pg from 'pg'
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

/** A refund that was posted: for an execution, or for the session as a whole; and whether it was paid since. */
export type RefundRow = { reference: string; refundedMicros: bigint; isPaid: boolean }

/** The refunds of a session; their references name cause and subject. */
export async function selectRefunds(db: Executor, sessionId: string): Promise<RefundRow[]> {
  const { rows } = await db.execute<{ reference: string; amount: string; is_paid: boolean }>(sql`
    select t.reference, (-e.amount_micros)::text as amount, exists (
        select 1 from ledger_transfers p where p.kind = 'reserve_payout' and p.reference = t.reference) as is_paid
      from ledger_transfers t join ledger_entries e on e.transfer_id = t.id
      where t.session_id = ${sessionId} and t.kind = 'reserve_refund' and e.account = 'platform:reserve'
      order by t.id`)
  return rows.map(({ reference, amount, is_paid: isPaid }) => ({
    ...{ reference, isPaid },
    refundedMicros: BigInt(amount),
  }))
}

/** What was settled of a session, all shares together, as the ledger took it from the chain. */
export async function selectSettled(db: Executor, sessionId: string): Promise<bigint> {
  const { rows } = await db.execute<{ settled: string }>(sql`
    select coalesce(sum(e.amount_micros) filter (where e.amount_micros > 0), 0)::text as settled
      from ledger_transfers t join ledger_entries e on e.transfer_id = t.id
      where t.session_id = ${sessionId} and t.kind = 'settlement'`)
  return BigInt(rows[0]?.settled ?? 0)
}

/** What a reference was made of. */
export function readReference(reference: string): Pick<RefundItem, 'cause' | 'subject'> {
  const [cause = '', subject = ''] = reference.split(':')
  return { cause: refundCause.parse(cause), subject: subject as RefundItem['subject'] }
}

/** What a refund is filed under: the same loss cannot be filed twice. */
export const referenceOf = (cause: RefundCause, subject: string): string => `${cause}:${subject}`

/** A refund that the reserve owes and the ledger has no payment of. */
export type OwedRefund = {
  reference: string
  cause: RefundCause
  subject: RefundItem['subject']
  sessionId: string
  account: string
  /** The wallet that paid for the session. */
  payer: Hex
  escrow: Hex
  amountMicros: bigint
}

type OwedRow = { reference: string; id: string; account: string; payer: Hex; escrow: Hex; amount: string }

/** Every refund that is owed, oldest first. */
export async function selectOwedRefunds(pool: pg.Pool): Promise<OwedRefund[]> {
  const { rows } = await pool.query<OwedRow>(
    `select t.reference, s.id, e.account, s.payer, opening."to" as escrow, e.amount_micros::text as amount
      from ledger_transfers t
      join ledger_entries e on e.transfer_id = t.id and e.amount_micros > 0
      join sessions s on s.id = t.session_id
      join transactions opening on opening.session_id = s.id and opening.kind = 'open' and opening.status = 'final'
      where t.kind = 'reserve_refund' and not exists (
        select 1 from ledger_transfers paid where paid.kind = 'reserve_payout' and paid.reference = t.reference)
      order by t.id`,
  )
  return rows.map(({ id, amount, ...row }) => ({
    ...{ ...row, ...readReference(row.reference) },
    ...{ sessionId: id, amountMicros: BigInt(amount) },
  }))
}

/** Posts that a refund was paid; the second time it does nothing. */
export async function recordRefundPayout(pool: pg.Pool, refund: OwedRefund): Promise<void> {
  const { reference, sessionId, account, amountMicros } = refund
  await pool.query(
    `insert into ledger_transfers (kind, reference, session_id, accounts, amounts_micros)
      values ('reserve_payout', $1, $2, array[$3, 'rails:escrow:outbound'], array[-$4::bigint, $4::bigint])
      on conflict do nothing`,
    [reference, sessionId, account, amountMicros.toString()],
  )
}
