import { channelId, type DepositAuthorization, type Hex, micros, OrienError } from '@orien/protocol'
import { encodeOpenWithAuthorization } from '@orien/rails'
import type { Context } from '../context.ts'
import { requirePaidGas } from '../relayer/allowance.ts'
import { lockSession, type SessionRow, updateSession } from './store.ts'
import { channelOf } from './view.ts'

/** The signed deposit as it was stored. */
function storedDeposit(row: SessionRow): DepositAuthorization {
  const stored = row.deposit as Omit<DepositAuthorization, 'valueMicros'> & { valueMicros: string }
  return { ...stored, valueMicros: micros(BigInt(stored.valueMicros)) }
}

/**
 * Tries the deposit out before anything depends on it, and sets gas aside for it.
 *
 * @throws OrienError `insufficient_funds`, `deposit_refused`, `relay_limit_reached`, `chain_unavailable`
 */
export async function tryDeposit(ctx: Context, row: SessionRow): Promise<void> {
  const terms = channelOf(row, ctx.chain)
  if (!terms) return
  const deposit = storedDeposit(row)
  const trial = await ctx.rail.simulate(encodeOpenWithAuthorization(terms, deposit))
  // Somebody may have sent it since: a concurrent execute of this session, or the payer itself.
  const isThere = !trial.ok && trial.error === 'ChannelAlreadyExists'
  if (!trial.ok && !isThere) await refuseDeposit(ctx, deposit, terms.payer, trial.error)
  if (!ctx.config.relayLimits) return
  // Sending a signed deposit takes more gas than closing its channel; opening without one would take less.
  if (isThere && (await ctx.rail.isTransferred(terms.payer, deposit.nonce))) return
  await ctx.db.write((unit) => requirePaidGas(ctx, unit, { what: 'session', ...relayOf(row, terms.payer) }))
}

/** One custody wallet pays for many agents. */
export function relayOf({ id, agentId, isCustodial }: SessionRow, payer: Hex) {
  return { reference: id, sessionId: id, agentId, payer: isCustodial ? agentId : payer }
}

async function refuseDeposit(
  ctx: Context,
  { valueMicros }: DepositAuthorization,
  payer: Hex,
  error: string,
): Promise<never> {
  const balance = await ctx.rail.balanceOf(payer)
  if (balance >= valueMicros) throw new OrienError('deposit_refused', `The deposit would fail: ${error}`)
  const facts = { balanceMicros: balance.toString(), requiredMicros: valueMicros.toString() }
  throw new OrienError('insufficient_funds', 'The wallet holds less USDC than the deposit', facts)
}

/** Relays the deposit, once, now that work depends on it. */
export async function openChannel(ctx: Context, sessionId: string): Promise<void> {
  await ctx.db.write(async (unit) => {
    const row = await lockSession(unit.tx, sessionId)
    const terms = row && channelOf(row, ctx.chain)
    if (!row || !terms || row.channelStatus !== 'none') return
    const deposit = storedDeposit(row)
    await ctx.outbox.plan(unit, {
      kind: 'open',
      reference: row.id,
      sessionId: row.id,
      amountMicros: deposit.valueMicros,
      ...encodeOpenWithAuthorization(terms, deposit),
      detail: { channelId: channelId(terms) },
    })
    await updateSession(unit.tx, row.id, { channelStatus: 'opening' })
  })
}
