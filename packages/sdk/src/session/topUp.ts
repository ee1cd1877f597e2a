import { actOnSession, micros, type SessionView, toHex, topUpNonce, type UsdcMicros } from '@orien/protocol'
import { deriveIdempotencyKey } from '../idempotency.ts'
import { drawBytes } from '../random.ts'
import { signDeposit } from './deposit.ts'
import { prepareDeposit } from './open.ts'
import type { SessionState } from './state.ts'

/**
 * Adds to a session's deposit.
 *
 * @throws OrienError `spend_cap_exceeded` by the policy, `deposit_refused`, `insufficient_funds`, or the coordinator's
 */
export async function topUp(state: SessionState, additionalMicros: UsdcMicros): Promise<SessionView> {
  const { context, channel, view } = state
  context.guard.assertSession(view.budgetMicros + additionalMicros)
  const nowMs = await prepareDeposit(context, view)
  await context.guard.countDeposit(state.id, additionalMicros, nowMs)
  state.counted.push({ amountMicros: additionalMicros, atMs: nowMs })
  const topUpSalt = toHex(drawBytes(32))
  const nonce = topUpNonce(state.channelId, additionalMicros, channel.payer, topUpSalt)
  const deposit = await signDeposit(context.account(), view.payment, {
    valueMicros: micros(additionalMicros),
    nonce,
    nowMs,
  })
  state.view = await context.http.call(
    actOnSession,
    { params: { id: state.id }, body: { action: 'topUp', additionalMicros, topUpSalt, deposit } },
    { idempotencyKey: deriveIdempotencyKey(state.id, { topUp: topUpSalt }) },
  )
  return state.view
}
