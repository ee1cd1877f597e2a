import type { getHealth, OperationOutput } from '@orien/protocol'
import type { Context } from '../context.ts'
import { busAnswers } from './busAnswers.ts'

type Health = OperationOutput<typeof getHealth>

/** A leader of the relayer that has finished no pass for this long is stuck, or there is none. */
const STUCK_SECONDS = 60

type Observed = Pick<Health, 'database' | 'bus' | 'chain' | 'relayer' | 'providersOnline'> & {
  overduePayouts: number
  stuckTransactions: number
}

/** Every reason why something is not as it should be, the worst first. */
function reasonsOf(seen: Observed): string[] {
  const { database, bus, chain, relayer, providersOnline, overduePayouts, stuckTransactions } = seen
  return [
    database !== 'ok' && `database_${database}`,
    bus !== 'ok' && `bus_${bus}`,
    chain !== 'ok' && `chain_${chain}`,
    relayer !== 'ok' && `relayer_${relayer}`,
    stuckTransactions > 0 && 'transactions_stuck',
    overduePayouts > 0 && 'payouts_overdue',
    providersOnline === 0 && 'no_provider_online',
  ].filter((reason) => reason !== false)
}

/**
 * Looks at everything that serving needs, at once and in bounded time. `down`: it cannot serve at all, which only the
 * database decides; `degraded`: it serves, and something is worth an operator's attention.
 */
export async function readHealth(ctx: Context): Promise<Health> {
  const [database, chain, bus] = await Promise.all([
    ctx.databaseHealth.read(),
    ctx.chainHealth.read(),
    busAnswers(ctx.bus, ctx.random),
    ctx.figures.refresh(),
  ])
  const { relayerBeatSeconds, overduePayouts, stuckTransactions, ageSeconds } = ctx.figures.figures()
  // Old figures say nothing about the leader: then the database is the news.
  const beatSeconds = Number.isFinite(ageSeconds) ? (relayerBeatSeconds ?? 0) : 0
  const isStuck = database === 'ok' && beatSeconds > STUCK_SECONDS
  const relayer = isStuck ? 'stuck' : chain.hasGas ? 'ok' : 'out_of_gas'
  const seen = {
    database,
    bus: bus ? ('ok' as const) : ('down' as const),
    chain: chain.state,
    relayer,
    providersOnline: ctx.nodes.online().length,
  } as const
  const reasons = reasonsOf({ ...seen, overduePayouts, stuckTransactions })
  const status = database !== 'ok' ? 'down' : reasons.length > 0 ? 'degraded' : 'ok'
  return { status, version: ctx.config.version, ...seen, reasons }
}
