import { readNonceAt } from '@orien/rails'
import type { Context } from '../context.ts'
import { markStuck } from '../relayer/store.ts'
import { move } from './move.ts'
import type { RelayerChain, Step } from './relayerChain.ts'
import { findVariant, type Sent } from './replace.ts'
import type { Sight } from './sight.ts'

/**
 * A nonce that was spent by something else than our action: its key is used elsewhere as well, which is told. What is
 * final on the chain decides; until then a node may only be behind, and what it says then is asked for once more after a
 * while. If the nonce is gone for good and none of our bytes were mined, none ever will be: the action is planned anew,
 * tried out first, so that one which somebody else has carried out is seen and not repeated.
 */
export async function resolveTaken(
  ctx: Context,
  chain: RelayerChain,
  sight: Sight,
  sent: Sent,
): Promise<Step> {
  const { id: transaction, kind, nonce, stuckAt } = sent.row
  const head = await sight.head()
  if (head.status === 'unreachable' || head.finalBlock < 0n || nonce === null) return 'waiting'
  const spent = await readNonceAt(chain.client, chain.signer.address, head.finalBlock)
  if (spent.status === 'unreachable' || BigInt(spent.count) <= nonce) return 'waiting'
  const facts = { transaction, kind, nonce: `${nonce}` }
  if (await markStuck(ctx.db.read, transaction))
    ctx.log.error({ event: 'settlement.stuck', cause: 'nonce_taken', ...facts })
  const isSettled =
    stuckAt !== null && ctx.clock.now().getTime() - stuckAt.getTime() >= chain.profile.replaceAfter.ms
  // Asked after the nonce: what was mined before it was final is found by now.
  if (!isSettled || (await findVariant(chain, sent)).status !== 'unknown') return 'refused'
  const nothing = { nonce: null, raw: null, txHash: null, stuckAt: null }
  const moved = await move(ctx, sent.row, { type: 'displaced' }, nothing)
  if (moved) ctx.log.warn({ event: 'settlement.displaced', ...facts })
  return moved ? 'moved' : 'waiting'
}
