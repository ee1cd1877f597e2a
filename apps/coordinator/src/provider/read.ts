import {
  type getProvider as getOperation,
  type Hex,
  type listProviders as listOperation,
  type OperationInput,
  type OperationOutput,
  OrienError,
  type ProviderView,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { cutPage } from '../page.ts'
import { readReputations } from '../reputation/read.ts'
import { type ProviderRow, selectProvider, selectProviders } from './store.ts'
import { viewProvider } from './view.ts'

/** The marketplace, a page of it. */
export async function listProviders(
  ctx: Context,
  query: OperationInput<typeof listOperation>['query'],
): Promise<OperationOutput<typeof listOperation>> {
  const { online, limit, ...filter } = query
  // Those that take sessions now: an agent that looks for one must not find a node that would refuse it.
  const open = ctx.nodes.online().filter((id) => ctx.nodes.stateOf(id)?.admission.mode === 'open')
  const rows = await selectProviders(ctx.db.read, {
    ...filter,
    limit: limit + 1,
    only: online === 'true' ? open : undefined,
    except: online === 'false' ? open : undefined,
  })
  const { shown, next } = cutPage(rows, limit, (row) => row.id)
  const tracks = await readReputations(
    ctx,
    shown.map((row) => row.id),
  )
  return {
    items: shown.map((row) => viewProvider(row, ctx.nodes, tracks.get(row.id))),
    ...next,
  }
}

/** @throws OrienError `not_found` */
export async function getProvider(
  ctx: Context,
  { id }: OperationInput<typeof getOperation>['params'],
): Promise<ProviderView> {
  const row = await providerRow(ctx, id)
  const tracks = await readReputations(ctx, [id])
  return viewProvider(row, ctx.nodes, tracks.get(id))
}

/** @throws OrienError `not_found` when there is none, or it was taken off the marketplace */
export async function providerRow(ctx: Context, id: string): Promise<ProviderRow> {
  const row = await selectProvider(ctx.db.read, id)
  if (!row || row.deletedAt) throw new OrienError('not_found', 'There is no such provider')
  return row
}

/** @throws OrienError `forbidden` unless the caller signed in with the payout wallet */
export function requireOwner(caller: Caller, payout: Hex | string): void {
  if (caller.wallet !== payout) throw new OrienError('forbidden', 'Only the owner’s wallet may do this')
}
