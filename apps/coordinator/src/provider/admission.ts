import { type Admission, OrienError } from '@orien/protocol'
import type { Context } from '../context.ts'
import type { Executor } from '../db/executor.ts'
import { countActiveSessions } from './store.ts'

/** What a node that says nothing is taken to mean. */
export const EVERYBODY: Admission = { mode: 'open', blocked: [] }

const CLOSED = {
  draining: 'The owner lets the sessions that are under way finish and takes no new ones',
  killed: 'The owner has stopped all work',
} as const

type Asking = { providerId: string; payer?: string | null | undefined }
/** `none`: nothing is deposited yet, so the session can still be refused at no cost. */
type Working = Asking & { channelStatus: string }

/**
 * Refuses a new session that its node would refuse: before the agent signs a deposit, and before one is relayed.
 *
 * @throws OrienError `provider_closed`, `provider_full`, `payer_blocked`
 */
export async function requireRoom(ctx: Context, db: Executor, asking: Asking): Promise<void> {
  const admission = ctx.nodes.stateOf(asking.providerId)?.admission ?? EVERYBODY
  if (admission.mode !== 'open') throw new OrienError('provider_closed', CLOSED[admission.mode])
  requirePayer(admission, asking.payer)
  const { maxSessions } = admission
  if (maxSessions !== undefined && (await countActiveSessions(db, asking.providerId)) >= maxSessions)
    throw new OrienError('provider_full', undefined, { maxSessions })
}

/**
 * Refuses a run that its node would refuse, before money is held for it: a draining node goes on with the sessions that
 * it knows, and it knows a session from its first run.
 *
 * @throws OrienError `provider_closed`, `payer_blocked`
 */
export function requireService(ctx: Context, asking: Working): void {
  const admission = ctx.nodes.stateOf(asking.providerId)?.admission ?? EVERYBODY
  const { mode } = admission
  if (mode === 'killed' || (mode === 'draining' && asking.channelStatus === 'none'))
    throw new OrienError('provider_closed', CLOSED[mode])
  requirePayer(admission, asking.payer)
}

function requirePayer({ blocked }: Admission, payer: string | null | undefined): void {
  if (payer && blocked.some((address) => address === payer)) throw new OrienError('payer_blocked')
}
