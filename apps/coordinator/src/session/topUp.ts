import {
  type DepositAuthorization,
  type Hex,
  OrienError,
  type SessionView,
  topUpNonce,
  type UsdcMicros,
} from '@orien/protocol'
import { encodeTopUpWithAuthorization } from '@orien/rails'
import type { Caller, Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { requirePaidGas } from '../relayer/allowance.ts'
import { lockedSessionRow } from './read.ts'
import { checkDepositSignature } from './start.ts'
import { viewSession } from './view.ts'

/** More budget for a session under way: relayed at once; it counts when it is final on the chain. */
export type TopUp = { additionalMicros: UsdcMicros; topUpSalt: Hex; deposit: DepositAuthorization }

/**
 * @throws OrienError `session_not_active` unless the channel is open, `deposit_refused`, `signature_invalid`,
 *   `relay_limit_reached`
 */
export async function topUpSession(
  ctx: Context,
  unit: Unit,
  caller: Caller,
  id: string,
  topUp: TopUp,
): Promise<SessionView> {
  const row = await lockedSessionRow(unit.tx, caller, id)
  if (row.status !== 'active' || row.channelStatus !== 'open' || !row.channelId || !row.payer) {
    throw new OrienError('session_not_active', 'Only a session with an open channel can be topped up')
  }
  const { additionalMicros, topUpSalt, deposit } = topUp
  if (deposit.valueMicros !== additionalMicros)
    throw new OrienError('deposit_refused', 'The deposit must be the additional amount')
  requireWorthwhile(ctx, additionalMicros)
  const payer = row.payer as Hex
  if (deposit.nonce !== topUpNonce(row.channelId as Hex, additionalMicros, payer, topUpSalt)) {
    throw new OrienError('deposit_refused', 'The nonce must follow from channel, amount and salt')
  }
  checkDepositSignature(ctx, payer, deposit)
  const { nonce: reference } = deposit
  const { id: sessionId, agentId } = row
  await requirePaidGas(ctx, unit, { what: 'topUp', reference, payer, sessionId, agentId })
  const channel = { channelId: row.channelId as Hex, from: payer, topUpSalt }
  await ctx.outbox.plan(unit, {
    kind: 'top_up',
    reference,
    sessionId: row.id,
    amountMicros: additionalMicros,
    ...encodeTopUpWithAuthorization(ctx.chain.escrow, channel, deposit),
    detail: {},
  })
  return viewSession(row, ctx.chain)
}

/** Gas of a payment that is smaller than what it costs. */
function requireWorthwhile(ctx: Context, amount: UsdcMicros): void {
  const minimum = ctx.chain.minimumDepositMicros ?? 0n
  if (amount >= minimum) return
  const facts = { minimumDepositMicros: minimum.toString() }
  throw new OrienError('deposit_refused', `A top-up is at least ${minimum} micro-USDC here`, facts)
}
