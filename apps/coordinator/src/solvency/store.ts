import { sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'

/** What the ledger owes, by the kind of account, and the deposits whose close is under way. Micro-USDC. */
export type Liabilities = {
  budgetsMicros: bigint
  payablesMicros: bigint
  earningsMicros: bigint
  reserveMicros: bigint
  settlingMicros: bigint
}

type Row = { budgets: string; payables: string; earnings: string; reserve: string; settling: string }

/** Reads all of it in one statement, so in one snapshot. */
export async function selectLiabilities(db: Executor): Promise<Liabilities> {
  const { rows } = await db.execute<Row>(sql`
    with balances as (
      select account, balance_micros as amount from ledger_accounts
      union all
      select e.account, e.amount_micros from ledger_entries e
        left join ledger_accounts known on known.account = e.account
        where e.id > coalesce(known.through_entry, 0)
    )
    select
      coalesce(sum(amount) filter (where account like 'sessions:%:budget'), 0)::text as budgets,
      coalesce(sum(amount) filter (where account like 'sessions:%:payable'), 0)::text as payables,
      coalesce(sum(amount) filter (where account like 'providers:%:earnings'), 0)::text as earnings,
      coalesce(sum(amount) filter (where account = 'platform:reserve'), 0)::text as reserve,
      (select coalesce(sum(s.deposit_micros), 0)::text from sessions s
        where s.channel_status = 'closing') as settling
    from balances`)
  const [row] = rows
  return {
    budgetsMicros: BigInt(row?.budgets ?? 0),
    payablesMicros: BigInt(row?.payables ?? 0),
    earningsMicros: BigInt(row?.earnings ?? 0),
    reserveMicros: BigInt(row?.reserve ?? 0),
    settlingMicros: BigInt(row?.settling ?? 0),
  }
}
