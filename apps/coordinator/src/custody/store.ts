import { type CustodyMove, micros, planCustody } from '@orien/protocol'
import { and, eq, inArray, notInArray, sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'
import { agents, sessions, transactions } from '../db/schema.ts'
import { insertTransfer } from '../ledger/store.ts'

/** What the ledger holds for an agent, and what is on its way in. Micro-USDC. */
export type Balance = {
  availableMicros: bigint
  committedMicros: bigint
  withdrawingMicros: bigint
  arrivingMicros: bigint
  /** In channels of its sessions: what they do not use comes back. */
  inSessionsMicros: bigint
}

/** One balance changes in one transaction at a time. */
export async function lockAgent(tx: Executor, agentId: string): Promise<void> {
  await tx.select({ id: agents.id }).from(agents).where(eq(agents.id, agentId)).for('update')
}

export async function selectBalance(db: Executor, agentId: string): Promise<Balance> {
  const { rows } = await db.execute<Record<'available' | 'committed' | 'withdrawing', string>>(sql`
    select
      coalesce(sum(amount_micros) filter (where account = ${`agents:${agentId}:available`}), 0)::text as available,
      coalesce(sum(amount_micros) filter (where account = ${`agents:${agentId}:committed`}), 0)::text as committed,
      coalesce(sum(amount_micros) filter (where account = ${`agents:${agentId}:withdrawing`}), 0)::text as withdrawing
    from ledger_transfers t, unnest(t.accounts, t.amounts_micros) as leg (account, amount_micros)
    where t.kind <> 'capture' and t.accounts && array[${`agents:${agentId}:available`}, ${`agents:${agentId}:committed`}, ${`agents:${agentId}:withdrawing`}]
      and account in (${`agents:${agentId}:available`}, ${`agents:${agentId}:committed`}, ${`agents:${agentId}:withdrawing`})`)
  const [arriving] = await db
    .select({ sum: sql<string>`coalesce(sum(${transactions.amountMicros}), 0)::text` })
    .from(transactions)
    .where(
      and(
        eq(transactions.agentId, agentId),
        eq(transactions.kind, 'custody_deposit'),
        notInArray(transactions.status, ['final', 'failed']),
      ),
    )
  const [inSessions] = await db
    .select({ sum: sql<string>`coalesce(sum(${sessions.depositMicros}), 0)::text` })
    .from(sessions)
    .where(
      and(
        eq(sessions.agentId, agentId),
        eq(sessions.isCustodial, true),
        inArray(sessions.channelStatus, ['open', 'closing']),
      ),
    )
  const [row] = rows
  return {
    availableMicros: BigInt(row?.available ?? 0),
    committedMicros: BigInt(row?.committed ?? 0),
    withdrawingMicros: BigInt(row?.withdrawing ?? 0),
    arrivingMicros: BigInt(arriving?.sum ?? 0),
    inSessionsMicros: BigInt(inSessions?.sum ?? 0),
  }
}

/** Posts what happened to a balance; the same move with the same reference twice is refused by a unique index. */
export function moveBalance(
  tx: Executor,
  of: { move: CustodyMove; agentId: string; amountMicros: bigint; reference: string; sessionId?: string },
): Promise<void> {
  const { move, agentId, amountMicros, reference, sessionId = '' } = of
  if (amountMicros === 0n) return Promise.resolve()
  return insertTransfer(tx, { sessionId, reference }, planCustody(move, agentId, micros(amountMicros)))
}

/** Withdrawals whose transaction failed and that were not sent again: their money is still on its way. */
export async function selectUnpaid(db: Executor, olderThanMs: number) {
  return db
    .select()
    .from(transactions)
    .where(
      and(
        eq(transactions.kind, 'withdrawal'),
        eq(transactions.status, 'failed'),
        sql`${transactions.updatedAt} < clock_timestamp() - make_interval(secs => ${olderThanMs / 1_000})`,
        sql`not exists (select 1 from transactions later where later.kind = 'withdrawal'
          and later.reference = ${transactions.reference} and later.status <> 'failed')`,
        sql`not exists (select 1 from ledger_transfers paid where paid.kind = 'custody_paid'
          and paid.reference = ${transactions.reference})`,
        sql`not exists (select 1 from transactions later where later.kind = 'withdrawal'
          and later.reference = ${transactions.reference} and later.created_at > ${transactions.createdAt})`,
      ),
    )
    .limit(100)
}

/** Whether a deposit is in the ledger. */
export async function isCredited(db: Executor, reference: string): Promise<boolean> {
  const { rows } = await db.execute(
    sql`select 1 from ledger_transfers where kind = 'custody_deposit' and reference = ${reference}`,
  )
  return rows.length > 0
}

/**
 * Deposits whose transaction failed and whose money may be here all the same, or may still come: those that were looked
 * at often rest for up to a minute.
 *
 * @param never the error of those that will never come
 */
export async function selectUnarrived(db: Executor, never: string) {
  return db
    .select()
    .from(transactions)
    .where(
      and(
        eq(transactions.kind, 'custody_deposit'),
        eq(transactions.status, 'failed'),
        sql`${transactions.error} is distinct from ${never}`,
        sql`${transactions.updatedAt} < clock_timestamp() - make_interval(secs => least(60, ${transactions.attempts} * 5))`,
        sql`not exists (select 1 from ledger_transfers credited where credited.kind = 'custody_deposit'
          and credited.reference = ${transactions.reference})`,
        sql`not exists (select 1 from transactions later where later.kind = 'custody_deposit'
          and later.reference = ${transactions.reference} and later.status <> 'failed')`,
      ),
    )
    .limit(100)
}
