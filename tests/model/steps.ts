import type { Id } from '@orien/protocol'
import { extendAtHalf, extendRequested } from '../../apps/coordinator/src/execution/extend.ts'
import type { Operation } from './operations.ts'
import * as reference from './reference.ts'
import { openRuns, type Run } from './reference.ts'
import type { Replica } from './replica.ts'
import type { Place } from './world.ts'

type Tick = Extract<Operation, { do: 'tick' }>

/** A step of a session of this price: the smallest that is taken. */
export const smallestStep = (rate: bigint) => (rate * 2_000n + 59_999n) / 60_000n

/** The node says how far a run is, and under which grant; what it has not heard of it does not know. */
export async function tick(
  { ctx }: Replica,
  { model, provider }: Place,
  run: Run,
  said: Tick,
): Promise<void> {
  const beforeMs = run.earlier.at(-1)?.deadlineMs ?? 0
  const halfMs = Math.ceil((beforeMs + run.deadlineMs) / 2)
  const usedMs = { early: halfMs - 1, half: halfMs, late: run.deadlineMs }[said.used]
  const knownMs = said.knows === 'earlier' && beforeMs > 0 ? beforeMs : run.deadlineMs
  const message = { type: 'meter', executionId: run.id as Id<'execution'>, effectiveMs: usedMs } as const
  await extendAtHalf(ctx, provider.id, { ...message, deadlineMs: knownMs }, undefined)
  reference.extend(model, run, { usedMs, knownMs })
}

/** What follows when more is authorised: runs that were asked for go on, the oldest first. */
export async function extendAll({ ctx }: Replica, { model }: Place): Promise<void> {
  await extendRequested(ctx, model.id)
  const asked = openRuns(model).filter((run) => run.requestedMicros !== null)
  for (const run of asked.sort((a, b) => (a.id < b.id ? -1 : 1)))
    reference.extend(model, run, { usedMs: null, knownMs: run.deadlineMs })
}
