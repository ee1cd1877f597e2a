import { deleteExpired } from '../access/store.ts'
import type { Context } from '../context.ts'
import { adoptDeposits } from '../custody/adopt.ts'
import { resendWithdrawals } from '../custody/withdraw.ts'
import { deleteExpiredEnrolments } from '../enrolment/store.ts'
import { deleteLogsBefore, expireLeases, keepLeases, selectUnopened } from '../execution/store.ts'
import { foldAccounts } from '../ledger/store.ts'
import { beginEnd, completeIfDrained } from '../session/end.ts'
import { endIdle } from '../session/endIdle.ts'
import { openChannel } from '../session/openChannel.ts'
import { lockSession, selectDisputedActive, selectDrained } from '../session/store.ts'
import { leaveGone, refundDue } from '../settlement/exits.ts'
import { tellLost } from '../telemetry/tellExecution.ts'
import type { Patience } from './patience.ts'

const BATCH = 500
const LOG_HOURS = 48
/** A run that has not begun by then may never have reached its node. */
const RESEND_AFTER_MS = 10_000
/** A silence of more than this many sweeps is an outage, of the database or of every coordinator. */
const MISSED_SWEEPS = 3

/**
 * Everything that time does: leases end, deposits left behind are sent, providers that are gone are left, old output
 * goes, balances are folded.
 *
 * @param upMs how long this process has been listening to nodes
 * @param patience with ways out that nobody has paid for
 * @param isIdleDue whether sessions of agents that have vanished are looked for
 */
export async function sweep(
  ctx: Context,
  { upMs, patience, isIdleDue }: { upMs: number; patience: Patience; isIdleDue: boolean },
): Promise<boolean> {
  await keepLeases(ctx.db.read, { toleratedMs: MISSED_SWEEPS * ctx.config.sweepEveryMs })
  const expired = await expireLeases(ctx.db.pool, BATCH)
  for (const { session, execution, sequence, drained } of expired.runs) {
    ctx.bus.publish(session, { kind: 'event', sequence, ended: execution })
    ctx.dispatcher.forget(execution)
    tellLost(ctx, { executionId: execution, sessionId: session })
    if (drained) await completeIfDrained(ctx, session)
  }
  for (const sessionId of await selectUnopened(ctx.db.read)) await openChannel(ctx, sessionId)
  await finishEnds(ctx)
  if (isIdleDue) await endIdle(ctx)
  await leaveGone(ctx, { upMs, patience })
  await refundDue(ctx)
  // The row is the truth: whatever a node should have in hand and does not, it is sent again.
  for (const providerId of ctx.nodes.online()) {
    await ctx.dispatcher.send({ providerId, pendingForMs: RESEND_AFTER_MS })
  }
  await deleteLogsBefore(ctx.db.read, LOG_HOURS)
  await deleteExpired(ctx.db.read)
  await deleteExpiredEnrolments(ctx.db.read)
  await foldAccounts(ctx.db.read)
  // Last, because they ask the chain: one that is away holds up nothing else.
  await resendWithdrawals(ctx)
  await adoptDeposits(ctx)
  return expired.looked === BATCH
}

/** What a crash left between two transactions: a disputed session that goes on, a drained one that is not completed. */
async function finishEnds(ctx: Context): Promise<void> {
  for (const id of await selectDisputedActive(ctx.db.read)) {
    await ctx.db.write(async (unit) => {
      const row = await lockSession(unit.tx, id)
      if (row) await beginEnd(ctx, unit, row, 'dispute')
    })
  }
  for (const id of await selectDrained(ctx.db.read)) await completeIfDrained(ctx, id)
}
