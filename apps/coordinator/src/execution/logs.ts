import { LIMITS } from '@orien/protocol'
import type { Context, Place } from '../context.ts'
import type { Batcher } from '../db/batcher.ts'
import { databaseFailure, isOutage } from '../db/failure.ts'
import { observedBatcher } from '../telemetry/observedBatcher.ts'
import { placeOfRun } from './report.ts'
import { insertLogs, type LogChunk, selectExecution, selectLogs } from './store.ts'

/**
 * Takes the output of runs in, bounded, and tells when a run's output is stored. What cannot be stored now was not
 * taken: its node says all of it again.
 */
export type LogSink = {
  /** @throws OrienError of the database; then the chunk is to be said again */
  accept: (providerId: string, chunk: LogChunk) => Promise<void>
  /** Resolves when everything accepted for the run so far is stored, with whether it is. */
  stored: (executionId: string) => Promise<boolean>
  forget: (executionId: string) => void
  /** The node begins again with all that it has in hand. */
  restart: (providerId: string) => void
}

type Target = Place & { last: Promise<boolean> }

export function createLogSink(
  ctx: Pick<Context, 'db' | 'bus' | 'log' | 'metrics' | 'clock' | 'dispatcher' | 'nodes'>,
): LogSink {
  const writer: Batcher<LogChunk, null> = observedBatcher<LogChunk, null>(ctx, 'log', {
    flush: async (chunks) => {
      await insertLogs(ctx.db.read, chunks)
      return chunks.map(() => null)
    },
  })
  const targets = new Map<string, Target>()
  ctx.metrics.remembered.set('output', () => targets.size)
  // Only what is this provider's and still open is remembered: neither what a node makes up nor what comes late.
  const targetOf = async (providerId: string, executionId: string): Promise<Target | null> => {
    const known = targets.get(executionId)
    if (known) return known.providerId === providerId ? known : null
    const place = await placeOfRun(ctx, providerId, executionId)
    if (!place || place.isRecorded) return null
    const target = { ...place, last: Promise.resolve(true) }
    targets.set(executionId, target)
    return target
  }
  // Announced once it is stored, so that whoever is woken by it finds it.
  const write = async (target: Target, chunk: LogChunk): Promise<boolean> => {
    try {
      await writer.submit(chunk)
      ctx.bus.publish(target.sessionId, { kind: 'log', ...chunk })
      return true
    } catch (error) {
      const { executionId } = chunk
      const isLater = isOutage(databaseFailure(error, 'unknown'))
      ctx.log.warn({ event: isLater ? 'log.deferred' : 'log.lost', executionId, err: error })
      if (isLater) ctx.nodes.cut(target.providerId)
      // What the database refuses for its own sake it would refuse again; the receipt's hash tells what was lost.
      return !isLater
    }
  }
  return {
    accept: async (providerId, chunk) => {
      const target = await targetOf(providerId, chunk.executionId)
      if (!target) return
      // A node that sends more than its tool may print is cut off; the receipt's hash tells what was lost.
      if (chunk.offset + chunk.data.length > target.outputBytes + LIMITS.logChunkBytes) return
      const [before, written] = [target.last, write(target, chunk)]
      target.last = written.then(async (isWritten) => (await before) && isWritten)
    },
    stored: async (executionId) => (await targets.get(executionId)?.last) ?? true,
    forget: (executionId) => void targets.delete(executionId),
    restart: (providerId) => {
      for (const [executionId, target] of targets)
        if (target.providerId === providerId) targets.delete(executionId)
    },
  }
}

const PAGE = 64

/** Output of a run from a byte offset on: what is stored, then what comes, until the run has ended. */
export async function* readLogs(
  ctx: Context,
  run: { executionId: string; sessionId: string },
  from: number,
  options: { follow: boolean; signal: AbortSignal },
): AsyncGenerator<LogChunk> {
  let next = from
  let hasNews = true
  let wake = () => {}
  const unsubscribe = ctx.bus.subscribe(run.sessionId, (message) => {
    const isOurs = message.kind === 'log' ? message.executionId === run.executionId : message.kind === 'event'
    if (!isOurs) return
    hasNews = true
    wake()
  })
  options.signal.addEventListener('abort', () => wake(), { once: true })
  try {
    while (!options.signal.aborted) {
      hasNews = false
      const row = await selectExecution(ctx.db.read, run.executionId)
      const chunks = await selectLogs(ctx.db.read, run.executionId, next, PAGE)
      for (const chunk of chunks) {
        const skip = Math.max(0, next - chunk.offset)
        yield { ...chunk, offset: chunk.offset + skip, data: chunk.data.subarray(skip) }
        next = chunk.offset + chunk.data.length
      }
      if (chunks.length === PAGE) continue
      const isOver = row?.execution.status === 'completed' || row?.execution.status === 'failed'
      if (chunks.length === 0 && (isOver || !options.follow)) return
      if (chunks.length > 0 && (isOver || !options.follow)) continue
      await new Promise<void>((resolve) => {
        wake = resolve
        if (hasNews || options.signal.aborted) resolve()
      })
    }
  } finally {
    unsubscribe()
  }
}
