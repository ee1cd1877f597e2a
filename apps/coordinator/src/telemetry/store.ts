import { sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'
import type { StoredFigures } from './figures.ts'

/** A payout later than this after its session's end is an alarm. */
const OVERDUE_HOURS = 24
const EXPIRING_SECONDS = 60

/**
 * Reads every figure in one statement. All but the ledger's use partial indexes over what is open; the ledger's goes
 * through the folded balances.
 */
export async function selectFigures(db: Executor): Promise<StoredFigures> {
  const { rows } = await db.execute<{ figures: StoredFigures }>(sql`
    with unpaid as (
      select extract(epoch from clock_timestamp() - ended_at)::float as age from sessions
        where status in ('ending', 'completed') and spent_micros > 0 and ended_at is not null),
    leases as (
      select count(*) as open,
        count(*) filter (where lease_until < clock_timestamp() + make_interval(secs => ${EXPIRING_SECONDS})) as expiring
        from sessions s join executions e on e.session_id = s.id and e.hold_status = 'open'
        where s.open_executions > 0 and s.status <> 'settled'),
    open_transactions as (
      select kind, status, count(*) as count,
        extract(epoch from clock_timestamp() - min(created_at))::float as "oldestSeconds"
        from transactions where status not in ('final', 'failed') and carrier_id is null group by kind, status),
    spent as (
      select coalesce(sum(gas_used), 0)::text as gas, coalesce(sum(fee_wei), 0)::text as wei from transactions
        where gas_used is not null and updated_at >= date_trunc('day', clock_timestamp(), 'UTC')),
    classes as (
      select case
          when account like 'sessions:%' or account like 'providers:%' or account like 'agents:%'
            then split_part(account, ':', 1) || '_' || split_part(account, ':', 3)
          when account like 'platform:%' then replace(account, ':', '_')
          when account like 'rails:%' then 'rails_' || split_part(account, ':', 3)
          else 'other' end as class, balance_micros
        from ledger_accounts where balance_micros <> 0)
    select jsonb_build_object(
      'ledger', coalesce((select jsonb_agg(jsonb_build_object('class', class, 'micros', micros))
        from (select class, sum(balance_micros)::text as micros from classes group by class) as sums), '[]'),
      'transactions', coalesce((select jsonb_agg(to_jsonb(open_transactions)) from open_transactions), '[]'),
      'stuckTransactions', (select count(*) from transactions
        where status not in ('final', 'failed') and stuck_at is not null and carrier_id is null),
      'spentGas', (select gas from spent),
      'spentWei', (select wei from spent),
      'oldestUnpaidSeconds', coalesce((select max(age) from unpaid), 0),
      'overduePayouts', (select count(*) from unpaid where age > ${OVERDUE_HOURS * 3_600}),
      'leasesOpen', (select open from leases),
      'leasesExpiring', (select expiring from leases),
      'relayerBeatSeconds', (select extract(epoch from clock_timestamp() - at)::float from facts where name = 'relayer')
    ) as figures`)
  const figures = rows[0]?.figures
  return figures as StoredFigures
}
