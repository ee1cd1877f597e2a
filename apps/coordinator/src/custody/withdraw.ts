import { type Hex, micros, OrienError, transferDigest } from '@orien/protocol'
import { encodeTransferWithAuthorization } from '@orien/rails'
import type { Caller, Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { requireAllowance } from '../relayer/allowance.ts'
import { lockAgent, moveBalance, selectBalance, selectUnpaid } from './store.ts'

/** The last second that a Unix time of JavaScript's integers names: a payout never expires, see below. */
const NEVER = 253_402_300_799

/**
 * Pays from the custodial balance to the agent's own wallet, and nowhere else. The transfer is signed once: however often
 * it is sent, and whoever sends it, the token moves the money once. It never expires and is never signed anew, so money
 * that is on its way cannot go back into the balance and be paid twice.
 *
 * @throws OrienError `insufficient_funds`, `relay_limit_reached`
 */
export async function withdrawBalance(
  ctx: Context,
  unit: Unit,
  caller: Caller,
  amountMicros: bigint | undefined,
): Promise<void> {
  const { agentId } = caller
  await lockAgent(unit.tx, agentId)
  const { availableMicros } = await selectBalance(unit.tx, agentId)
  const amount = amountMicros ?? availableMicros
  if (amount === 0n || amount > availableMicros) {
    const facts = { availableMicros: availableMicros.toString() }
    throw new OrienError('insufficient_funds', 'The balance does not hold that much', facts)
  }
  const nonce = ctx.random.word() as Hex
  await requireAllowance(ctx, unit, { what: 'transfer', reference: nonce, payer: agentId })
  await moveBalance(unit.tx, { move: 'custody_withdraw', agentId, amountMicros: amount, reference: nonce })
  const { chainId, token, tokenName, tokenVersion } = ctx.chain
  const parties = { from: ctx.custody.address, to: caller.wallet }
  const transfer = { valueMicros: micros(amount), validAfter: 0, validBefore: NEVER, nonce }
  const digest = transferDigest({ chainId, token, tokenName, tokenVersion, ...parties, ...transfer })
  const signed = { ...transfer, signature: ctx.custody.sign(digest) }
  await ctx.outbox.plan(unit, {
    ...{ kind: 'withdrawal' as const, reference: nonce, agentId, amountMicros: amount, detail: {} },
    ...encodeTransferWithAuthorization(token, parties, signed),
  })
}

/** How long a withdrawal rests that the chain did not take. */
const REST_MS = 60_000

/**
 * Looks after withdrawals whose transaction failed. Somebody else may have submitted the transfer, which anyone can: then
 * it is paid, since the custody wallet never cancels one. Else it is sent again: the same transfer, by its one signature.
 */
export async function resendWithdrawals(ctx: Context, restMs: number = REST_MS): Promise<void> {
  for (const row of await selectUnpaid(ctx.db.read, restMs)) {
    const { reference, amountMicros, to, data } = row
    const [agentId, call] = [row.agentId ?? '', { to: to as Hex, data: data as Hex }]
    const isPaid = await ctx.rail.isTransferred(ctx.custody.address, reference as Hex)
    await ctx.db.write(async (unit) => {
      if (isPaid) await moveBalance(unit.tx, { move: 'custody_paid', agentId, amountMicros, reference })
      else
        await ctx.outbox.plan(unit, {
          kind: 'withdrawal',
          reference,
          agentId,
          amountMicros,
          ...call,
          detail: {},
        })
    })
  }
}
