import { channelId, type DepositAuthorization, micros, OrienError } from '@orien/protocol'
import { encodeOpenWithAuthorization } from '@orien/rails'
import type { Context } from '../context.ts'
import { lockSession, type SessionRow, updateSession } from './store.ts'
import { channelOf } from './view.ts'

/** The signed deposit as it was stored. */
function storedDeposit(row: SessionRow): DepositAuthorization {
  const stored = row.deposit as Omit<DepositAuthorization, 'valueMicros'> & { valueMicros: string }
  return { ...stored, valueMicros: micros(BigInt(stored.valueMicros)) }
}

/**
 * Tries the deposit out before anything depends on it.
 *
 * @throws OrienError `insufficient_funds`, `deposit_refused`, `chain_unavailable`
 */
export async function tryDeposit(ctx: Context, row: SessionRow): Promise<void> {
  const terms = channelOf(row, ctx.chain)
  if (!terms) return
  const deposit = storedDeposit(row)
  const balance = await ctx.rail.balanceOf(terms.payer)
  if (balance < deposit.valueMicros) {
    const facts = { balanceMicros: balance.toString(), requiredMicros: deposit.valueMicros.toString() }
    throw new OrienError('insufficient_funds', 'The wallet holds less USDC than the deposit', facts)
  }
  const trial = await ctx.rail.simulate(encodeOpenWithAuthorization(terms, deposit))
  // A concurrent execute of this session may have relayed it since; then there is nothing left to try.
  if (!trial.ok && trial.error !== 'ChannelAlreadyExists') {
    throw new OrienError('deposit_refused', `The deposit would fail: ${trial.error}`)
  }
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
