import { type Dispatch, type Hex, type Id, micros } from '@orien/protocol'
import type { Context, Dispatcher } from '../context.ts'
import { channelOf } from '../session/view.ts'
import { type Joined, selectOpenWork } from './store.ts'

/** Everything a node needs for one run. */
function workOf({ execution, session }: Joined, ctx: Pick<Context, 'chain'>): Dispatch | null {
  const channel = channelOf(session, ctx.chain)
  if (!channel) return null
  return {
    executionId: execution.id as Id<'execution'>,
    sessionId: execution.sessionId as Id<'session'>,
    tool: execution.tool,
    manifestHash: execution.manifestHash,
    args: execution.args as Dispatch['args'],
    argumentsSalt: execution.argumentsSalt as Hex,
    grant: execution.grantNumber,
    holdMicros: micros(execution.holdMicros),
    deadlineMs: execution.deadlineMs,
    rateMicrosPerMinute: micros(session.rateMicrosPerMinute),
    offerHash: session.offerHash,
    channel,
    voucher: {
      cumulativeMicros: micros(execution.voucherMicros),
      signature: execution.voucherSignature as Hex,
    },
  }
}

/** Sends runs to nodes and remembers, by this process's clock, since when it could have been running. */
export function createDispatcher(
  ctx: Pick<Context, 'db' | 'nodes' | 'chain' | 'clock' | 'trails'>,
): Dispatcher {
  const sentAtMs = new Map<string, number>()
  const sendOne = (row: Joined) => {
    const work = workOf(row, ctx)
    if (!work || !ctx.nodes.isOnline(row.session.providerId)) return
    const traceparent = ctx.trails.sent(work.executionId)
    const traced = traceparent === undefined ? {} : { traceparent }
    if (!ctx.nodes.send(row.session.providerId, { type: 'dispatch', work, ...traced })) return
    if (!sentAtMs.has(work.executionId)) sentAtMs.set(work.executionId, ctx.clock.monotonicMs())
    const mustStop = row.execution.cancelRequestedAt !== null || row.session.status === 'ending'
    if (mustStop) ctx.nodes.send(row.session.providerId, { type: 'cancel', executionId: work.executionId })
  }
  return {
    send: async (of) => {
      for (const row of await selectOpenWork(ctx.db.read, of)) sendOne(row)
    },
    observedMs: (executionId) => {
      const sentAt = sentAtMs.get(executionId)
      return sentAt === undefined ? null : ctx.clock.monotonicMs() - sentAt
    },
    forget: (executionId) => void sentAtMs.delete(executionId),
  }
}
