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

/** Takes in that a node was heard of. */
export async function recordBeat(pool: pg.Pool, providerId: string): Promise<void> {
  await pool.query({
    name: 'reputation_beat',
    text: 'select reputation_beat($1, $2)',
    values: [providerId, LIMITS.heartbeatTimeoutMs],
  })
}
