import type { heartbeat as heartbeatOperation } from '@orien/protocol'
import {
  decodeJws,
  type deleteProvider as deleteOperation,
  heartbeatProof,
  type Id,
  isSignedBy,
  type OperationOutput,
  OrienError,
  type ProviderView,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { verifyEd25519 } from '../keys.ts'
import { providerRow, requireOwner } from './read.ts'
import { updateProvider } from './store.ts'
import { statusOf, viewProvider } from './view.ts'

/** The owner takes its provider out of the marketplace for a while, or back in. Running sessions go on. */
export async function setProviderDisabled(
  ctx: Context,
  caller: Caller,
  input: { id: Id<'provider'>; disabled: boolean },
): Promise<ProviderView> {
  const current = await providerRow(ctx, input.id)
  requireOwner(caller, current.payout)
  const row = await ctx.db.write(({ tx }) => updateProvider(tx, input.id, { isDisabled: input.disabled }))
  return viewProvider(row ?? current, ctx.nodes)
}

/** The owner takes its provider off the marketplace. What it earned is settled as before. */
export async function deleteProvider(
  ctx: Context,
  caller: Caller,
  id: Id<'provider'>,
): Promise<OperationOutput<typeof deleteOperation>> {
  const current = await providerRow(ctx, id)
  requireOwner(caller, current.payout)
  const deletedAt = ctx.clock.now()
  await ctx.db.write(({ tx }) => updateProvider(tx, id, { deletedAt, isDisabled: true }))
  return { id, deletedAt: deletedAt.toISOString() }
}

/** How old a signed heartbeat may be. */
const PROOF_AGE_MS = 60_000

/**
 * A node without a WebSocket says that it is alive.
 *
 * @throws OrienError `signature_invalid` for another key, another provider or a stale proof
 */
export async function recordHeartbeat(
  ctx: Context,
  input: { id: Id<'provider'>; proof: string },
): Promise<OperationOutput<typeof heartbeatOperation>> {
  const row = await providerRow(ctx, input.id)
  const decoded = decodeJws('orien-node+jws', input.proof)
  const parsed = heartbeatProof.safeParse(decoded?.payload)
  const now = ctx.clock.now()
  const isFresh = parsed.success && Math.abs(now.getTime() - Date.parse(parsed.data.at)) <= PROOF_AGE_MS
  if (
    !decoded ||
    !isFresh ||
    parsed.data.providerId !== input.id ||
    !isSignedBy(decoded, row.nodeKey, verifyEd25519)
  ) {
    throw new OrienError(
      'signature_invalid',
      'The proof must be a fresh one by the node key of this provider',
    )
  }
  await ctx.db.write(({ tx }) => updateProvider(tx, input.id, { lastSeenAt: now }))
  return { status: statusOf(row, ctx.nodes), at: now.toISOString() }
}
