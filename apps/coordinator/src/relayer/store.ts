import { desc, eq, inArray, sql } from 'drizzle-orm'
import type { Executor } from '../db/executor.ts'
import { relayedCalls, transactions, transactionVariants } from '../db/schema.ts'

/** One of the signatures under an action: the newest one is what is sent. */
export type Variant = {
  transactionId: string
  txHash: string
  /** The newest block when it was signed; null where nobody looked. */
  signedBlock: bigint | null
  /** By the database's clock. */
  ageMs: number
}

/** Keeps signed bytes before anybody is shown them. Storing the same ones again changes nothing. */
export async function insertVariant(
  tx: Executor,
  variant: typeof transactionVariants.$inferInsert,
): Promise<void> {
  await tx.insert(transactionVariants).values(variant).onConflictDoNothing()
}

/** The variants of these transactions, the newest of each first. */
export async function selectVariants(
  db: Executor,
  transactionIds: readonly string[],
): Promise<Map<string, Variant[]>> {
  if (transactionIds.length === 0) return new Map()
  const rows = await db
    .select({
      transactionId: transactionVariants.transactionId,
      txHash: transactionVariants.txHash,
      signedBlock: transactionVariants.signedBlock,
      ageMs: sql<number>`(extract(epoch from clock_timestamp() - ${transactionVariants.signedAt}) * 1000)::float`,
    })
    .from(transactionVariants)
    .where(inArray(transactionVariants.transactionId, [...transactionIds]))
    .orderBy(desc(transactionVariants.signedAt))
  return Map.groupBy(rows, ({ transactionId }) => transactionId)
}

/** Notes since when a transaction is stuck. @returns false when that was known */
export async function markStuck(db: Executor, id: string): Promise<boolean> {
  const rows = await db
    .update(transactions)
    .set({ stuckAt: sql`coalesce(${transactions.stuckAt}, clock_timestamp())` })
    .where(sql`${eq(transactions.id, id)} and ${transactions.stuckAt} is null`)
    .returning({ id: transactions.id })
  return rows.length === 1
}

type RelayedCall = typeof relayedCalls.$inferInsert

/** What an agent's sessions have paid, and what was relayed for them. */
export type Standing = {
  /** By closes that are final, as the chain paid them: receipts alone prove nothing to the relayer. */
  paidMicros: bigint
  /** Ever. */
  relayedGas: bigint
  /** In this UTC day, beyond what was paid for: for this agent, and for all. */
  giftedGas: bigint
  allGiftedGas: bigint
}

/** @param reference of the call that is judged: reserved before, it counts once */
export async function selectStanding(
  db: Executor,
  { agentId, reference }: { agentId: string; reference: string },
): Promise<Standing> {
  const used = sql`r.reference <> ${reference} and (s.channel_status <> 'none'
    or r.reserved_at > clock_timestamp() - make_interval(secs => ${UNUSED_SECONDS}))`
  const gifted = sql`r.is_newcomer and r.reserved_at >= date_trunc('day', clock_timestamp(), 'UTC')`
  const from = sql`from relayed_calls r join sessions s on s.id = r.session_id`
  const sum = sql`select coalesce(sum(r.gas), 0)::text ${from} where ${used}`
  const { rows } = await db.execute<{
    paid: string
    relayed: string
    gifted: string
    all_gifted: string
  }>(sql`
    select (select coalesce(sum(t.amount_micros), 0)::text from transactions t join sessions s on s.id = t.session_id
        where s.agent_id = ${agentId} and t.kind = 'close' and t.status = 'final') as paid,
      (${sum} and s.agent_id = ${agentId}) as relayed,
      (${sum} and s.agent_id = ${agentId} and ${gifted}) as gifted,
      (${sum} and ${gifted}) as all_gifted`)
  const [row] = rows
  return {
    paidMicros: BigInt(row?.paid ?? 0),
    relayedGas: BigInt(row?.relayed ?? 0),
    giftedGas: BigInt(row?.gifted ?? 0),
    allGiftedGas: BigInt(row?.all_gifted ?? 0),
  }
}

/** Whether gas was set aside for what this names. */
export async function isReserved(db: Executor, reference: string): Promise<boolean> {
  const rows = await db
    .select({ reference: relayedCalls.reference })
    .from(relayedCalls)
    .where(eq(relayedCalls.reference, reference))
  return rows.length === 1
}

/** Gas that was lent in this UTC day, to one payer and to all newcomers, and whether the payer is one. */
export type LentGas = { payerGas: bigint; newcomersGas: bigint; isNewcomer: boolean }

/** What was reserved and never used is no loan after this. */
const UNUSED_SECONDS = 60

/** Whoever counts and reserves does so alone: until its transaction ends, nobody else does. */
export async function lockLending(tx: Executor): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtext('relayed_calls'))`)
}

/** @param selfPayingMicros a session that was settled with so much spent has paid for its gas */
export async function selectLentGas(
  db: Executor,
  { payer, reference, selfPayingMicros }: { payer: string; reference: string; selfPayingMicros: bigint },
): Promise<LentGas> {
  const paid = sql`s.status = 'settled' and s.spent_micros >= ${selfPayingMicros}`
  const counted = sql`r.reserved_at >= date_trunc('day', clock_timestamp(), 'UTC') and r.reference <> ${reference}
    and not coalesce(${paid}, false)
    and (s.id is null or s.channel_status <> 'none'
      or r.reserved_at > clock_timestamp() - make_interval(secs => ${UNUSED_SECONDS}))`
  const from = sql`from relayed_calls r left join sessions s on s.id = r.session_id`
  const { rows } = await db.execute<{ payer_gas: string; newcomers_gas: string; is_newcomer: boolean }>(sql`
    select (select coalesce(sum(r.gas), 0)::text ${from} where r.payer = ${payer} and ${counted}) as payer_gas,
      (select coalesce(sum(r.gas), 0)::text ${from} where r.is_newcomer and r.session_id is null and ${counted}) as newcomers_gas,
      not exists (select 1 ${from} where r.payer = ${payer} and ${paid}) as is_newcomer`)
  const [row] = rows
  return {
    payerGas: BigInt(row?.payer_gas ?? 0),
    newcomersGas: BigInt(row?.newcomers_gas ?? 0),
    isNewcomer: row?.is_newcomer ?? true,
  }
}

/** Reserves gas for a call; for one that was reserved before, the same again. */
export async function reserveGas(tx: Executor, call: RelayedCall): Promise<void> {
  await tx
    .insert(relayedCalls)
    .values(call)
    .onConflictDoUpdate({
      target: relayedCalls.reference,
      set: { reservedAt: sql`clock_timestamp()`, isNewcomer: call.isNewcomer },
    })
}
