import { invariant, type Transfer } from '@orien/protocol'
import { sql } from 'drizzle-orm'
import type pg from 'pg'
import type { Executor } from '../db/executor.ts'
import { ledgerEntries, ledgerTransfers } from '../db/schema.ts'

/** Writes a planned transfer. The same kind and reference twice is refused by a unique index. */
export async function insertTransfer(
  tx: Executor,
  of: { sessionId: string; reference: string },
  transfer: Transfer,
): Promise<void> {
  const [row] = await tx
    .insert(ledgerTransfers)
    .values({ kind: transfer.kind, reference: of.reference, sessionId: of.sessionId })
    .returning({ id: ledgerTransfers.id })
  if (!row || transfer.postings.length === 0) return
  await tx
    .insert(ledgerEntries)
    .values(transfer.postings.map((posting) => ({ transferId: row.id, ...posting })))
}

/** A planned transfer and what it is for. */
type TransferOf = { sessionId: string; reference: string; transfer: Transfer }

/** The same for many transfers at once. */
export async function insertTransfers(tx: Executor, planned: readonly TransferOf[]): Promise<void> {
  if (planned.length === 0) return
  const rows = await tx
    .insert(ledgerTransfers)
    .values(
      planned.map(({ sessionId, reference, transfer }) => ({ kind: transfer.kind, reference, sessionId })),
    )
    .returning({ id: ledgerTransfers.id, kind: ledgerTransfers.kind, reference: ledgerTransfers.reference })
  const ids = new Map(rows.map(({ id, kind, reference }) => [`${kind} ${reference}`, id]))
  const entries = planned.flatMap(({ reference, transfer }) => {
    const transferId = ids.get(`${transfer.kind} ${reference}`)
    invariant(transferId, 'every transfer that was inserted has its number')
    return transfer.postings.map((posting) => ({ transferId, ...posting }))
  })
  if (entries.length > 0) await tx.insert(ledgerEntries).values(entries)
}

/** Folds entries into balances; what several replicas do at once is done once, under the rows' locks. */
export async function foldAccounts(db: Executor): Promise<void> {
  await db.execute(sql`
    insert into ledger_accounts as a (account, balance_micros, through_entry)
    select e.account, sum(e.amount_micros), max(e.id)
      from ledger_entries e left join ledger_accounts known on known.account = e.account
      where e.id > coalesce(known.through_entry, 0)
        -- Ids are given before commits: an entry younger than the oldest running transaction may still get neighbours.
        and e.xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
      group by e.account
    on conflict (account) do update set
      balance_micros = a.balance_micros + excluded.balance_micros,
      through_entry = excluded.through_entry
      where a.through_entry < excluded.through_entry`)
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
      where a.balance_micros <> (select coalesce(sum(e.amount_micros), 0) from ledger_entries e
        where e.account = a.account and e.id <= a.through_entry)`,
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
    query: `select s.id as example from sessions s join ledger_entries e
      on e.account in ('sessions:' || s.id || ':budget', 'sessions:' || s.id || ':payable')
      where s.status = 'settled' group by s.id having sum(e.amount_micros) <> 0`,
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
