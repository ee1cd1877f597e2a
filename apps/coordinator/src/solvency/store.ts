import type { Hex } from '@orien/protocol'
import { sql } from 'drizzle-orm'
import type pg from 'pg'
import { createDatabase, type Executor } from '../db/executor.ts'

/** What the ledger owes, by the kind of account, and what of it the chain may have paid already. Micro-USDC. */
export type Liabilities = {
  budgetsMicros: bigint
  payablesMicros: bigint
  earningsMicros: bigint
  reserveMicros: bigint
  refundsMicros: bigint
  custodialMicros: bigint
  /** Of the custodial money, what the chain may have moved already: withdrawals, and deposits of sessions under way. */
  custodyMovingMicros: bigint
  /** Deposits whose close is under way, and what was claimed of the others. */
  settlingMicros: bigint
}

type Row = {
  budgets: string
  payables: string
  earnings: string
  reserve: string
  refunds: string
  custodial: string
  custody_moving: string
  settling: string
}

/** Reads all of it in one statement, so in one snapshot. */
export async function selectLiabilities(db: Executor): Promise<Liabilities> {
  const { rows } = await db.execute<Row>(sql`
    with balances as (
      select account, balance_micros as amount from ledger_accounts
      union all
      select e.account, e.amount_micros from ledger_entries e
        where e.transfer_id > (select coalesce(max(through_transfer), 0) from ledger_accounts)
    )
    select
      coalesce(sum(amount) filter (where account like 'sessions:%:budget'), 0)::text as budgets,
      coalesce(sum(amount) filter (where account like 'sessions:%:payable'), 0)::text as payables,
      coalesce(sum(amount) filter (where account like 'providers:%:earnings'), 0)::text as earnings,
      coalesce(sum(amount) filter (where account = 'platform:reserve'), 0)::text as reserve,
      coalesce(sum(amount) filter (where account like 'agents:%:refunds'), 0)::text as refunds,
      coalesce(sum(amount) filter (where account like 'agents:%:available' or account like 'agents:%:committed'
        or account like 'agents:%:withdrawing'), 0)::text as custodial,
      (coalesce(sum(amount) filter (where account like 'agents:%:withdrawing'), 0)
        + (select coalesce(sum(t.amount_micros), 0) from transactions t join sessions s on s.id = t.session_id
            where s.is_custodial and t.kind = 'open' and t.status not in ('final', 'failed')))::text as custody_moving,
      (select coalesce(sum(case s.channel_status when 'closing' then s.deposit_micros else s.claimed_micros end), 0)::text
        from sessions s where s.channel_status in ('open', 'closing')) as settling
    from balances`)
  const [row] = rows
  return {
    budgetsMicros: BigInt(row?.budgets ?? 0),
    payablesMicros: BigInt(row?.payables ?? 0),
    earningsMicros: BigInt(row?.earnings ?? 0),
    reserveMicros: BigInt(row?.reserve ?? 0),
    refundsMicros: BigInt(row?.refunds ?? 0),
    custodialMicros: BigInt(row?.custodial ?? 0),
    custodyMovingMicros: BigInt(row?.custody_moving ?? 0),
    settlingMicros: BigInt(row?.settling ?? 0),
  }
}

/** What the ledger says of one channel. Amounts in micro-USDC. */
export type LedgerChannel = {
  sessionId: string
  escrow: Hex
  channelId: Hex
  isClosed: boolean
  /** A transaction of it is under way: the chain may be ahead. */
  isMoving: boolean
  depositMicros: bigint
  settledMicros: bigint
  /** What its receipts sum to: as much may be claimed of it before it is closed. */
  spentMicros: bigint
}

type ChannelRow = {
  id: string
  escrow: Hex
  channel_id: Hex
  channel_status: string
  is_moving: boolean
  deposited: string
  settled: string
  spent: string
}

/** Every channel that the ledger has a deposit of. */
export async function selectChannels(pool: pg.Pool): Promise<LedgerChannel[]> {
  const { rows } = await pool.query<ChannelRow>(
    `select s.id, opening."to" as escrow, s.channel_id, s.channel_status, s.spent_micros::text as spent,
        exists (select 1 from transactions t
          where t.session_id = s.id and t.status not in ('final', 'failed')) as is_moving,
        coalesce(-sum(e.amount_micros) filter (where e.account = 'rails:escrow:inbound'), 0)::text as deposited,
        coalesce(-sum(e.amount_micros) filter
          (where t.kind = 'settlement' and e.account = 'sessions:' || s.id || ':payable'), 0)::text as settled
      from sessions s
      join transactions opening on opening.session_id = s.id and opening.kind = 'open' and opening.status = 'final'
      join ledger_transfers t on t.session_id = s.id
      join ledger_entries e on e.transfer_id = t.id
      where s.channel_id is not null
      group by s.id, opening.id
      order by s.id`,
  )
  return rows.map((row) => ({
    sessionId: row.id,
    escrow: row.escrow,
    channelId: row.channel_id,
    isClosed: row.channel_status === 'closed',
    isMoving: row.is_moving,
    depositMicros: BigInt(row.deposited),
    settledMicros: BigInt(row.settled),
    spentMicros: BigInt(row.spent),
  }))
}

/** What the ledger owes of one custody wallet's money, by the token that it is in. Micro-USDC. */
export type LedgerCustody = { wallets: Hex[]; token: Hex; owedMicros: bigint; movingMicros: bigint }

type CustodyRow = { token: Hex; wallets: Hex[] }

/** The custodial balances beside the wallets that hold them; null where there never was a deposit. */
export async function selectCustody(pool: pg.Pool): Promise<LedgerCustody | null> {
  const { rows } = await pool.query<CustodyRow>(
    `select "to" as token, array_agg(distinct detail->>'to') as wallets from transactions
      where kind = 'custody_deposit' group by "to"`,
  )
  const [first] = rows
  if (!first) return null
  const { custodialMicros, custodyMovingMicros } = await selectLiabilities(createDatabase(pool).read)
  return { ...first, owedMicros: custodialMicros, movingMicros: custodyMovingMicros }
}
