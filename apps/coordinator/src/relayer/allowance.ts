import { OrienError } from '@orien/protocol'
import type { Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { lockLending, reserveGas, selectLentGas } from './store.ts'

/** Gas that is reserved for each kind of call, by the figures of docs/gas.md, rounded up. */
const LENT_GAS = {
  /** Opening, a provider's first channel included, and closing alone. */
  session: 310_000n,
  topUp: 105_000n,
  transfer: 100_000n,
  operator: 80_000n,
} as const

/** A call that is to be relayed; `reference` names it once. */
export type Relay = { what: keyof typeof LENT_GAS; reference: string; payer: string; sessionId?: string }

/**
 * Reserves gas for a call, or refuses it. What was lent already is never asked back: sessions under way are closed,
 * whatever they cost.
 *
 * @throws OrienError `relay_limit_reached` with `scope`, `usedGas`, `limitGas` and `resetsAt`
 */
export async function requireAllowance(ctx: Context, unit: Unit, relay: Relay): Promise<void> {
  const { relayLimits: limits } = ctx.config
  if (!limits) return
  const { what, reference, payer, sessionId } = relay
  const gas = LENT_GAS[what]
  await lockLending(unit.tx)
  const lent = await selectLentGas(unit.tx, { payer, reference, selfPayingMicros: limits.selfPayingMicros })
  const { payerGas, newcomersGas, isNewcomer } = lent
  if (payerGas + gas > limits.payerDailyGas) throw refusal(ctx, 'payer', payerGas, limits.payerDailyGas)
  // Who has paid before is not locked out by a crowd of strangers.
  if (isNewcomer && newcomersGas + gas > limits.newcomersDailyGas)
    throw refusal(ctx, 'newcomers', newcomersGas, limits.newcomersDailyGas)
  await reserveGas(unit.tx, { reference, payer, gas, isNewcomer, sessionId: sessionId ?? null })
}

function refusal(
  { clock, metrics }: Pick<Context, 'clock' | 'metrics'>,
  scope: 'payer' | 'newcomers',
  usedGas: bigint,
  limitGas: bigint,
): OrienError {
  metrics.relayRefusals.inc({ scope })
  const now = clock.now()
  const tomorrow = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1)
  return new OrienError('relay_limit_reached', undefined, {
    ...{ scope, usedGas: `${usedGas}`, limitGas: `${limitGas}` },
    resetsAt: new Date(tomorrow).toISOString(),
  })
}
