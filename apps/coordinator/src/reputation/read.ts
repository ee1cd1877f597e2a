import { micros, type Reputation, reputation, scoreReputation } from '@orien/protocol'
import type { Context } from '../context.ts'
import { type ReputationFacts, selectRefunded, selectReputationFacts } from './store.ts'

/** Computed from receipts and heartbeats at each call, by provider. */
export async function readReputations(
  ctx: Pick<Context, 'db'>,
  ids: readonly string[],
): Promise<Map<string, Reputation>> {
  if (ids.length === 0) return new Map()
  const rows = await selectReputationFacts(ctx.db.pool, ids)
  const refunded = await selectRefunded(ctx.db.pool, ids)
  return new Map(rows.map((row) => [row.provider, reputationOf(row, refunded)]))
}

const HOUR_MS = 3_600_000
const inThousandths = (share: number) => Math.round(Math.min(1, share) * 1_000) / 1_000

function reputationOf(row: ReputationFacts, refunded: ReadonlyMap<string, bigint>): Reputation {
  const records = row.payers.map(({ good, bad }) => ({ goodMicros: BigInt(good), badMicros: BigInt(bad) }))
  const observedMs = Number(row.observed_ms)
  const { p50_ms: p50, p95_ms: p95 } = row
  return {
    completedSessions: Number(row.completed_sessions),
    completedExecutions: Number(row.completed),
    failedExecutions: Number(row.failed),
    failures: reputation.shape.failures.parse(row.failures),
    disputes: Number(row.disputes),
    payers: records.filter(({ goodMicros }) => goodMicros > 0n).length,
    feesMicros: micros(BigInt(row.fees)),
    refundedMicros: micros(refunded.get(row.provider) ?? 0n),
    ...scoreReputation(records),
    ...(p50 === null || p95 === null
      ? {}
      : {
          response: { executions: Number(row.responses), p50Ms: Math.round(p50), p95Ms: Math.round(p95) },
        }),
    uptime: {
      share: observedMs > 0 ? inThousandths(Number(row.online_ms) / observedMs) : 0,
      hours: Math.round((Number(row.online_ms) / HOUR_MS) * 10) / 10,
    },
  }
}
