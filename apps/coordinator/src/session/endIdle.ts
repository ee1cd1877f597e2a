import type { Context } from '../context.ts'
import { beginEnd } from './end.ts'
import { lockSession, selectIdle } from './store.ts'

/** Nothing was asked for in a session for so long: whoever meant to go on says so within it. */
export const SESSION_IDLE_MS = 6 * 3_600_000
const BATCH = 100

/**
 * Ends sessions whose agents have vanished. Their providers are paid for everything that was run, and the rest goes back
 * to the wallet; without it both would wait for somebody who never comes.
 */
export async function endIdle(ctx: Context): Promise<void> {
  const idleMs = ctx.config.sessionIdleMs ?? SESSION_IDLE_MS
  for (const id of await selectIdle(ctx.db.read, { idleMs, limit: BATCH })) {
    await ctx.db.write(async (unit) => {
      const row = await lockSession(unit.tx, id)
      // Asked for since: its agent is there.
      if (row?.status !== 'active' || row.openExecutions > 0) return
      await beginEnd(ctx, unit, row, 'idle')
      ctx.log.info({ event: 'session.idle', sessionId: id })
    })
  }
}
