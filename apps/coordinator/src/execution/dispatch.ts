import { type Dispatch, type Hex, type Id, micros } from '@orien/protocol'
import type { Context, Dispatcher, Place } from '../context.ts'
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
    ...(execution.mostMicros === null ? {} : { mostMicros: micros(execution.mostMicros) }),
    rateMicrosPerMinute: micros(session.rateMicrosPerMinute),
    offerHash: session.offerHash,
    channel,
    voucher: {
      cumulativeMicros: micros(execution.voucherMicros),
      signature: execution.voucherSignature as Hex,
    },
  }
}

type Sent = Place & { atMs: number }

/** Sends runs to nodes and remembers where they went and, by this process's clock, since when they could be running. */
export function createDispatcher(
  ctx: Pick<Context, 'db' | 'nodes' | 'chain' | 'clock' | 'trails' | 'metrics'>,
): Dispatcher {
  const sent = new Map<string, Sent>()
  ctx.metrics.remembered.set('dispatch', () => sent.size)
  const sendRow = (row: Joined) => {
    const { execution, session } = row
    const work = workOf(row, ctx)
    if (!work || !ctx.nodes.isOnline(session.providerId)) return
    const traceparent = ctx.trails.sent(work.executionId)
    const traced = traceparent === undefined ? {} : { traceparent }
    if (!ctx.nodes.send(session.providerId, { type: 'dispatch', work, ...traced })) return
    if (!sent.has(work.executionId)) {
      const { outputBytes } = execution.limits as { outputBytes: number }
      const place = { sessionId: session.id, providerId: session.providerId, outputBytes, isRecorded: false }
      const grant = execution.mostMicros === null ? { grant: null } : {}
      sent.set(work.executionId, { ...place, ...grant, atMs: ctx.clock.monotonicMs() })
    }
    const mustStop = execution.cancelRequestedAt !== null || session.status === 'ending'
    if (mustStop) ctx.nodes.send(session.providerId, { type: 'cancel', executionId: work.executionId })
  }
  return {
    send: async (of) => {
      for (const row of await selectOpenWork(ctx.db.read, of)) sendRow(row)
    },
    sendRow,
    placeOf: (executionId) => sent.get(executionId) ?? null,
    observedMs: (executionId) => {
      const run = sent.get(executionId)
      return run === undefined ? null : ctx.clock.monotonicMs() - run.atMs
    },
    forget: (executionId) => void sent.delete(executionId),
  }
}
