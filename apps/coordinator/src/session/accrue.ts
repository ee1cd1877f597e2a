import { type ChannelTerms, type Hex, OrienError, type Voucher } from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import { type Batcher, createBatcher } from '../db/batcher.ts'
import { sessionRow } from './read.ts'
import { type Accrual, type Accrued, accrueAll } from './store.ts'
import { channelOf } from './view.ts'
import { checkSigner } from './voucher.ts'

/** Channels whose terms are kept: they never change once a session is started, and reading them costs as much as the check. */
const MAX_CHANNELS = 10_000

type Channel = { agentId: string; id: Hex; terms: ChannelTerms; goesInSteps: boolean }

/** Takes vouchers in, many in one commit. */
export type Accruer = {
  /** @throws OrienError `not_found`, `session_not_active`, `voucher_invalid` */
  accrue: (caller: Pick<Caller, 'agentId'>, sessionId: string, voucher: Voucher) => Promise<void>
}

/**
 * One per process: vouchers that arrive together share a commit.
 *
 * @param onMore is told when more is authorised in a session that goes in steps
 */
export function createAccruer(
  ctx: Pick<Context, 'db' | 'bus' | 'chain'>,
  onMore: (sessionId: string) => Promise<void> = async () => {},
): Accruer {
  const batcher: Batcher<Accrual, Accrued> = createBatcher<Accrual, Accrued>({
    flush: (items) => accrueAll(ctx.db.pool, items),
  })
  const channels = new Map<string, Channel>()

  const channelFor = async (caller: Pick<Caller, 'agentId'>, sessionId: string): Promise<Channel> => {
    const known = channels.get(sessionId)
    if (known?.agentId === caller.agentId) return known
    const row = await sessionRow(ctx, caller, sessionId)
    const terms = channelOf(row, ctx.chain)
    if (row.status !== 'active' || !terms || !row.channelId) throw notActive(row.status)
    const goesInSteps = row.stepMicros !== null
    const channel = { agentId: row.agentId, id: row.channelId as Hex, terms, goesInSteps }
    const [oldest] = channels.keys()
    if (oldest !== undefined && channels.size >= MAX_CHANNELS) channels.delete(oldest)
    channels.set(sessionId, channel)
    return channel
  }

  return {
    accrue: async (caller, sessionId, voucher) => {
      const { terms, id, goesInSteps } = await channelFor(caller, sessionId)
      checkSigner(terms, id, voucher)
      const { cumulativeMicros, signature } = voucher
      const accrued = await batcher.submit({
        session: sessionId,
        cumulative: cumulativeMicros.toString(),
        signature,
      })
      if (accrued.event !== undefined) {
        ctx.bus.publish(sessionId, { kind: 'event', sequence: accrued.event })
        if (goesInSteps) await onMore(sessionId)
        return
      }
      if (accrued.status !== 'active') {
        channels.delete(sessionId)
        throw notActive(accrued.status ?? 'gone')
      }
      if (cumulativeMicros > BigInt(accrued.budget ?? 0)) {
        throw new OrienError('voucher_invalid', 'The voucher is above the deposit', {
          depositMicros: accrued.budget,
        })
      }
    },
  }
}

function notActive(status: string): OrienError {
  return new OrienError('session_not_active', `The session is ${status}`)
}
