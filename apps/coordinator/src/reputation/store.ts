import { LIMITS, REPUTATION_DAYS, UPTIME_DAYS } from '@orien/protocol'
import type pg from 'pg'

/** A row of reputation_facts; amounts as text, so that none is rounded. See facts.sql. */
export type ReputationFacts = {
  provider: string
  completed_sessions: bigint
  completed: bigint
  failed: bigint
  failures: Record<string, number>
  disputes: bigint
  fees: string
  payers: { good: string; bad: string }[]
  responses: bigint
  p50_ms: number | null
  p95_ms: number | null
  online_ms: string
  observed_ms: string
}

export async function selectReputationFacts(
  pool: pg.Pool,
  ids: readonly string[],
): Promise<ReputationFacts[]> {
  const { rows } = await pool.query<ReputationFacts>({
    name: 'reputation_facts',
    text: 'select * from reputation_facts($1, $2, $3)',
    values: [ids, REPUTATION_DAYS, UPTIME_DAYS],
  })
  return rows
}

/** What was refunded out of each provider's share of the reserve. */
export async function selectRefunded(pool: pg.Pool, ids: readonly string[]): Promise<Map<string, bigint>> {
  const { rows } = await pool.query<{ provider: string; amount: string }>({
    name: 'reputation_refunded',
    text: `select s.provider_id as provider, (-sum(e.amount_micros))::text as amount
      from ledger_transfers t join ledger_entries e on e.transfer_id = t.id join sessions s on s.id = t.session_id
      where t.kind = 'reserve_refund' and e.account = 'platform:reserve' and s.provider_id = any ($1)
      group by 1`,
    values: [ids],
  })
  return new Map(rows.map(({ provider, amount }) => [provider, BigInt(amount)]))
}

/** Takes in that a node was heard of. */
export async function recordBeat(pool: pg.Pool, providerId: string): Promise<void> {
  await pool.query({
    name: 'reputation_beat',
    text: 'select reputation_beat($1, $2)',
    values: [providerId, LIMITS.heartbeatTimeoutMs],
  })
}
