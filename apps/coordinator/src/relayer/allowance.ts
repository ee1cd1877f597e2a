import { OrienError } from '@orien/protocol'
import type { Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { type RelayLimits, selfPayingAt } from './limits.ts'
import { isReserved, lockLending, reserveGas, selectLentGas, selectStanding } from './store.ts'

/** Gas that is reserved for each kind of call, by the figures of docs/gas.md, rounded up. */
const LENT_GAS = {
  /** Opening, a provider's first channel included, and closing alone or by a relayed exit. */
  session: 310_000n,
  topUp: 105_000n,
  /** A relayed request to close and the refund after it. */
  exit: 165_000n,
  transfer: 100_000n,
  operator: 80_000n,
} as const

/** A call that is to be relayed; `reference` names it once. */
type Relay = { reference: string; payer: string }
/** For a session: its agent's sessions have paid for it, or it is given. */
export type SessionRelay = Relay & { what: 'session' | 'topUp' | 'exit'; sessionId: string; agentId: string }
/** Lent before there is any session. */
export type OtherRelay = Relay & { what: 'transfer' | 'operator' }

type Scope = 'payer' | 'gift' | 'newcomers'

/**
 * Reserves gas for a call of a session, or refuses it. What was given already is never asked back: sessions under way
 * are closed, whatever they cost.
 *
 * An agent's account is what the chain paid for its sessions, in gas: so long as that covers everything that was ever
 * relayed for it, a loop has cost whoever plays it more than the relayer, with a provider of its own as well.
 *
 * @throws OrienError `relay_limit_reached` with `scope`, `usedGas`, `limitGas`, `paidGas` and `resetsAt`
 */
export async function requirePaidGas(ctx: Context, unit: Unit, relay: SessionRelay): Promise<void> {
  const { relayLimits: limits } = ctx.config
  if (!limits) return
  const { what, agentId, ...call } = relay
  const sessionMicros = await priceOfSession(ctx, limits)
  await lockLending(unit.tx)
  const standing = await selectStanding(unit.tx, { agentId, reference: call.reference })
  const gas = LENT_GAS[what]
  const paidGas = (standing.paidMicros * LENT_GAS.session) / sessionMicros
  const isGift = standing.relayedGas + gas > paidGas
  if (isGift) {
    const { giftedGas, allGiftedGas } = standing
    const facts = { paidGas: `${paidGas}`, relayedGas: `${standing.relayedGas}` }
    if (allGiftedGas + gas > limits.giftedDailyGas)
      throw refusal(ctx, 'gift', [allGiftedGas, limits.giftedDailyGas], facts)
    if (giftedGas + gas > limits.payerDailyGas)
      throw refusal(ctx, 'payer', [giftedGas, limits.payerDailyGas], facts)
  }
  await reserveGas(unit.tx, { ...call, gas, isNewcomer: isGift })
}

/** What has to be spent for the platform's share to be worth a session's gas now. */
async function priceOfSession({ rail }: Context, { selfPayingMicros }: RelayLimits): Promise<bigint> {
  const gasMicros = await rail.gasMicros(LENT_GAS.session)
  return gasMicros === null ? selfPayingMicros : selfPayingAt(gasMicros, selfPayingMicros)
}

/** Whether the way out of a session may be relayed: its gas was set aside at its opening, or is paid for now. */
export async function isExitPaid(ctx: Context, unit: Unit, relay: Omit<SessionRelay, 'what' | 'reference'>) {
  if (!ctx.config.relayLimits || (await isReserved(unit.tx, relay.sessionId))) return true
  try {
    await requirePaidGas(ctx, unit, { ...relay, what: 'exit', reference: `exit ${relay.sessionId}` })
    return true
  } catch (error) {
    if (error instanceof OrienError && error.code === 'relay_limit_reached') return false
    throw error
  }
}

/**
 * Reserves gas for a call before any session, or refuses it.
 *
 * @throws OrienError `relay_limit_reached` with `scope`, `usedGas`, `limitGas` and `resetsAt`
 */
export async function requireAllowance(ctx: Context, unit: Unit, relay: OtherRelay): Promise<void> {
  const { relayLimits: limits } = ctx.config
  if (!limits) return
  const { what, reference, payer } = relay
  const gas = LENT_GAS[what]
  await lockLending(unit.tx)
  const lent = await selectLentGas(unit.tx, { payer, reference, selfPayingMicros: limits.selfPayingMicros })
  const { payerGas, newcomersGas, isNewcomer } = lent
  if (payerGas + gas > limits.payerDailyGas) throw refusal(ctx, 'payer', [payerGas, limits.payerDailyGas])
  // Who has paid before is not locked out by a crowd of strangers.
  if (isNewcomer && newcomersGas + gas > limits.newcomersDailyGas)
    throw refusal(ctx, 'newcomers', [newcomersGas, limits.newcomersDailyGas])
  await reserveGas(unit.tx, { reference, payer, gas, isNewcomer, sessionId: null })
}

function refusal(
  { clock, metrics }: Pick<Context, 'clock' | 'metrics'>,
  scope: Scope,
  [usedGas, limitGas]: readonly [bigint, bigint],
  facts: Record<string, string> = {},
): OrienError {
  metrics.relayRefusals.inc({ scope })
  const now = clock.now()
  const tomorrow = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1)
  return new OrienError('relay_limit_reached', undefined, {
    ...{ scope, usedGas: `${usedGas}`, limitGas: `${limitGas}`, ...facts },
    resetsAt: new Date(tomorrow).toISOString(),
  })
}
