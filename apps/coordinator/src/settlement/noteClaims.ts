import type { ChannelPayout } from '@orien/rails'
import type { Context } from '../context.ts'
import { updateClaimed } from '../session/store.ts'

/**
 * Remembers what providers have claimed of channels that are still open. It is posted when the channel is settled, over
 * its whole sum; until then it says why the chain holds less than was deposited.
 */
export async function noteClaims(ctx: Pick<Context, 'db'>, payouts: readonly ChannelPayout[]): Promise<void> {
  const claimed = new Map(payouts.map(({ channelId, cumulativeMicros }) => [channelId, cumulativeMicros]))
  const claims = [...claimed].map(([channelId, claimedMicros]) => ({ channelId, claimedMicros }))
  if (claims.length > 0) await ctx.db.write(({ tx }) => updateClaimed(tx, claims))
}
