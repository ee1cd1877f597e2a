import type { Transfer } from '@orien/protocol'
import { sql } from 'drizzle-orm'
import type pg from 'pg'
import type { Executor } from '../db/executor.ts'
import { ledgerTransfers } from '../db/schema.ts'

/** A planned transfer and what it is for. */
type TransferOf = { sessionId: string; reference: string; transfer: Transfer }

/** Writes planned transfers. The same kind and reference twice is refused by a unique index. */
export async function insertTransfers(tx: Executor, planned: readonly TransferOf[]): Promise<void> {
  if (planned.length === 0) return
  await tx.insert(ledgerTransfers).values(
    planned.map(({ sessionId, reference, transfer }) => ({
      kind: transfer.kind,
      reference,
      sessionId,
      accounts: transfer.postings.map(({ account }) => account),
      amountsMicros: transfer.postings.map(({ amountMicros }) => amountMicros),
    })),
  )
}

/** The same for one. */
export const insertTransfer = (
  tx: Executor,
  of: { sessionId: string; reference: string },
  transfer: Transfer,
): Promise<void> => insertTransfers(tx, [{ ...of, transfer }])

/** Transfers folded in one call: a fraction of a second. */
const FOLD_TRANSFERS = 100_000

/** Folds what was written before the last call, or earlier, into balances. Any number of replicas may, at any time. */
export async function foldAccounts(db: Executor): Promise<void> {
  await db.execute(sql`select ledger_fold(${FOLD_TRANSFERS})`)
}

/** One thing that must never happen, and how often it did. */
export type Drift = { check: string; violations: number; example: string | null }

const CHECKS: readonly { check: string; query: string }[] = [
  {
    check: 'all entries sum to zero',
    query: `select 'sum ' || sum(amount_micros) as example from ledger_entries having sum(amount_micros) <> 0`,
  },
  {
    check: 'every transfer sums to zero',
    query: `select 'transfer ' || transfer_id as example from ledger_entries group by transfer_id having sum(amount_micros) <> 0`,
  },
  {
    check: 'a folded balance is the sum of its entries',
    query: `select a.account as example from ledger_accounts a
      left join ledger_entries e on e.account = a.account and e.transfer_id <= a.through_transfer
      group by a.account having a.balance_micros <> coalesce(sum(e.amount_micros), 0)`,
  },
  {
    check: 'spent + held never exceeds budget or voucher',
    query: `select id as example from sessions where spent_micros + held_micros > least(budget_micros, authorised_micros)`,
  },
  {
    check: 'what is held is the sum of the open holds',
    query: `select s.id as example from sessions s where s.held_micros <>
      (select coalesce(sum(e.hold_micros), 0) from executions e where e.session_id = s.id and e.hold_status = 'open')`,
  },
  {
    check: 'a capture never exceeds its hold',
    query: `select id as example from executions where cost_micros > hold_micros`,
  },
  {
    check: 'what is spent is the sum of the captures',
    query: `select s.id as example from sessions s where s.spent_micros <>
      (select coalesce(sum(r.cost_micros), 0) from receipts r where r.session_id = s.id)`,
  },
  {
    check: 'every capture has one receipt, of its cost',
    query: `select t.reference as example from ledger_transfers t left join receipts r on r.execution_id = t.reference
      where t.kind = 'capture' and r.cost_micros is distinct from
        (select sum(e.amount_micros) from ledger_entries e where e.transfer_id = t.id and e.amount_micros > 0)`,
  },
  {
    check: 'every receipt with a cost is captured',
    query: `select r.execution_id as example from receipts r where r.cost_micros > 0 and not exists
      (select 1 from ledger_transfers t where t.kind = 'capture' and t.reference = r.execution_id)`,
  },
  {
    check: 'every run belongs to a session, and every receipt to a run of the same session',
    query: `select e.id as example from executions e left join sessions s on s.id = e.session_id where s.id is null
      union all
      select r.execution_id from receipts r left join executions e on e.id = r.execution_id
        where e.session_id is distinct from r.session_id`,
  },
  {
    check: 'receipts of a session are numbered without a gap',
    query: `select session_id as example from receipts group by session_id having max(sequence) <> count(*)`,
  },
  {
    check: 'no hold stays open past its lease',
    query: `select id as example from executions
      where hold_status = 'open' and lease_until < clock_timestamp() - interval '1 minute'`,
  },
  {
    check: 'nothing earned stays unpaid for more than a day after its session has ended',
    query: `select id as example from sessions where status in ('ending', 'completed') and spent_micros > 0
      and ended_at < clock_timestamp() - interval '24 hours' order by ended_at`,
  },
  {
    check: 'no part of a custodial balance is below nothing',
    query: `select account as example from ledger_entries where account like 'agents:%' group by account having sum(amount_micros) < 0`,
  },
  {
    check: 'a settled session has nothing left in it',
    query: `select e.account as example from ledger_entries e join sessions s on s.id = split_part(e.account, ':', 2)
      where e.account like 'sessions:%' and s.status = 'settled' group by e.account having sum(e.amount_micros) <> 0`,
  },
]

/** Runs every check in one snapshot. */
export async function selectDrift(pool: pg.Pool): Promise<Drift[]> {
  const client = await pool.connect()
  try {
    await client.query('begin isolation level repeatable read read only')
    const drifts: Drift[] = []
    for (const { check, query } of CHECKS) {
      const { rows } = await client.query<{ example: string }>(query)
      drifts.push({ check, violations: rows.length, example: rows[0]?.example ?? null })
    }
    await client.query('commit')
    return drifts
  } finally {
    client.release()
  }
}
