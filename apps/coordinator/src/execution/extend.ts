import { type Extension, type FromNode, type Hex, type Id, micros } from '@orien/protocol'
import type { Context, GrantSeen } from '../context.ts'
import { type Extended, extendExecution, selectRequested } from './store.ts'

type Tick = Extract<FromNode, { type: 'meter' }>

const extensionOf = (executionId: string, { session, hold, deadlineMs, ...of }: Extended): Extension => ({
  executionId: executionId as Id<'execution'>,
  sessionId: session as Id<'session'>,
  holdMicros: micros(BigInt(hold)),
  deadlineMs,
  voucher: { cumulativeMicros: micros(BigInt(of.voucher)), signature: of.voucherSignature as Hex },
})

type Needed = Pick<Context, 'db' | 'bus' | 'nodes'>

type Heard = { knownMs: number; usedMs: number | null }

async function extend(ctx: Needed, executionId: string, providerId: string, { knownMs, usedMs }: Heard) {
  const extended = await extendExecution(ctx.db.pool, { executionId, providerId, knownMs, usedMs })
  if (!extended) return null
  const { session, sequence } = extended
  if (sequence !== null) ctx.bus.publish(session, { kind: 'event', sequence })
  if (extended.deadlineMs > knownMs)
    ctx.nodes.send(providerId, { type: 'extend', extension: extensionOf(executionId, extended) })
  return extended
}

/** When half of a grant is used up: there is as much time left for the agent to answer. */
const half = (deadlineMs: number, beforeMs: number): GrantSeen => ({
  deadlineMs,
  askAtMs: Math.ceil((deadlineMs + beforeMs) / 2),
})

/**
 * Looks, at a tick of its meter, whether a run that goes in steps needs its next one. Every tick says which grant the
 * node knows of, so a message that was lost, to the node or by a process that ended, is made up for by the next tick.
 *
 * @returns what to compare the next tick with; null for a run with one grant
 */
export async function extendAtHalf(
  ctx: Needed,
  providerId: string,
  { executionId, effectiveMs, deadlineMs }: Tick,
  seen: GrantSeen | undefined,
): Promise<GrantSeen | null> {
  if (deadlineMs === undefined) return null
  if (seen && seen.deadlineMs === deadlineMs && effectiveMs < seen.askAtMs) return seen
  const extended = await extend(ctx, executionId, providerId, {
    knownMs: deadlineMs,
    usedMs: effectiveMs,
  })
  if (!extended) return null
  return half(extended.deadlineMs, extended.beforeMs)
}

/** Goes on with the runs that waited for a voucher: more is authorised now. */
export async function extendRequested(ctx: Needed, sessionId: string): Promise<void> {
  for (const { id, providerId, deadlineMs } of await selectRequested(ctx.db.read, sessionId))
    await extend(ctx, id, providerId, { knownMs: deadlineMs, usedMs: null })
}
