import { type EnrolmentView, makeEnrolmentCode, OrienError } from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { insertEnrolment } from './store.ts'
import { viewEnrolment } from './view.ts'

const VALID_MS = 900_000

/**
 * Gives the signed-in owner a code that one machine can use for a quarter of an hour.
 *
 * @throws OrienError `overloaded` when the code that was drawn is in use
 */
export async function openEnrolment(ctx: Context, caller: Caller): Promise<EnrolmentView> {
  const code = makeEnrolmentCode(ctx.random.bytes(8))
  const expiresAt = new Date(ctx.clock.now().getTime() + VALID_MS)
  const row = await ctx.db.write(({ tx }) => insertEnrolment(tx, { code, payout: caller.wallet, expiresAt }))
  if (!row) throw new OrienError('overloaded')
  return viewEnrolment(row)
}
