import type { FromNode } from '@orien/protocol'
import type { Context, Place } from '../context.ts'
import { extendAtHalf } from './extend.ts'
import { selectExecution, startExecution } from './store.ts'

/**
 * Where a run belongs: known for what this process sent, read otherwise.
 *
 * @returns null when the run is not this provider's
 */
export async function placeOfRun(
  ctx: Pick<Context, 'db' | 'dispatcher'>,
  providerId: string,
  executionId: string,
): Promise<Place | null> {
  const place = ctx.dispatcher.placeOf(executionId) ?? (await readPlace(ctx, executionId))
  return place?.providerId === providerId ? place : null
}

async function readPlace({ db }: Pick<Context, 'db'>, executionId: string): Promise<Place | null> {
  const row = await selectExecution(db.read, executionId)
  if (!row) return null
  const { outputBytes } = row.execution.limits as { outputBytes: number }
  return {
    sessionId: row.session.id,
    providerId: row.session.providerId,
    outputBytes,
    isRecorded: row.receipt !== null,
    ...(row.execution.mostMicros === null ? { grant: null } : {}),
  }
}

/** Takes in that tools were executed. */
export type Starts = {
  /** Told to followers soon; a run that ends before that tells it with its receipt, in the same commit. */
  report: (providerId: string, executionId: string) => void
  /** The receipt is here. @returns whether its start was reported and not yet written */
  take: (executionId: string) => boolean
}

/** A start waits this long for its receipt: a run that is over sooner costs one commit less, and nobody sees the gap. */
const WRITE_AFTER_MS = 20

export function createStarts(ctx: Pick<Context, 'db' | 'bus' | 'log'>): Starts {
  const waiting = new Map<string, NodeJS.Timeout>()
  const write = async (providerId: string, executionId: string) => {
    const started = await startExecution(ctx.db.pool, providerId, executionId)
    if (started) ctx.bus.publish(started.session, { kind: 'event', sequence: started.sequence })
  }
  return {
    report: (providerId, executionId) => {
      if (waiting.has(executionId)) return
      // Known until it is written: a receipt that comes meanwhile tells of the start if it is the quicker one.
      const timer = setTimeout(() => {
        write(providerId, executionId)
          .catch((err: unknown) => ctx.log.warn({ event: 'execution.start_lost', executionId, err }))
          .finally(() => waiting.delete(executionId))
      }, WRITE_AFTER_MS)
      waiting.set(executionId, timer)
    },
    take: (executionId) => {
      clearTimeout(waiting.get(executionId))
      return waiting.delete(executionId)
    },
  }
}

type Tick = Extract<FromNode, { type: 'meter' }>

/** A tick of the running cost: shown live, never stored. A run that goes in steps is asked for the next one by it. */
export async function relayMeter(ctx: Context, providerId: string, tick: Tick): Promise<void> {
  const { executionId, effectiveMs } = tick
  const place = await placeOfRun(ctx, providerId, executionId)
  if (!place) return
  ctx.bus.publish(place.sessionId, { kind: 'meter', executionId, effectiveMs })
  if (place.grant !== null) place.grant = await extendAtHalf(ctx, providerId, tick, place.grant)
}
