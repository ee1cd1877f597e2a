import type { RunReport } from '@orien/protocol'
import type { OpenSpan, Tracing } from '@orien/tracing'
import type { Clock } from '../clock.ts'

/**
 * What this process saw of an execution, by its own clock: for its line, its histograms and its spans. It is lost with
 * the process, and nothing but telling depends on it.
 */
export type Trail = {
  beganMs?: number
  acceptedMs?: number
  sentMs?: number
  arrivedMs?: number
  report?: RunReport | null
  span?: OpenSpan
  /** For an execution that ends without a receipt. */
  facts?: { providerId: string; tool: string; holdMicros: bigint }
}

export type Trails = {
  accepted: (
    executionId: string,
    start: { beganMs: number; parent: string | undefined; facts: NonNullable<Trail['facts']> },
  ) => void
  /** Notes the first sending. @returns the execution's place in its trace, for the node */
  sent: (executionId: string) => string | undefined
  arrived: (executionId: string, report: RunReport | null) => void
  /** Forgets a receipt's arrival that belongs to no execution accepted here. */
  departed: (executionId: string) => void
  /** Hands the trail over and forgets it. */
  take: (executionId: string) => Trail | undefined
  count: () => number
}

/** More than can be open at once on one replica; beyond it the oldest lose their phases, nothing else. */
const MAX_TRAILS = 50_000

export function createTrails(clock: Clock, tracing: Tracing): Trails {
  const trails = new Map<string, Trail>()
  const put = (executionId: string, trail: Trail) => {
    trails.set(executionId, trail)
    if (trails.size <= MAX_TRAILS) return
    const [oldest] = trails.keys()
    if (oldest !== undefined) trails.delete(oldest)
  }
  return {
    accepted: (executionId, { beganMs, parent, facts }) => {
      const acceptedMs = clock.monotonicMs()
      const trail: Trail = { beganMs, acceptedMs, facts }
      put(executionId, trail)
      if (!tracing.isOn) return
      trail.span = tracing.begin('execution', { startMs: beganMs, parent })
      tracing.begin('submit', { startMs: beganMs, parent: trail.span.traceparent }).end({ endMs: acceptedMs })
    },
    sent: (executionId) => {
      const trail = trails.get(executionId)
      if (!trail) return undefined
      const traceparent = trail.span?.traceparent
      if (trail.sentMs !== undefined) return traceparent
      trail.sentMs = clock.monotonicMs()
      if (tracing.isOn && trail.acceptedMs !== undefined)
        tracing
          .begin('dispatch', { startMs: trail.acceptedMs, parent: traceparent })
          .end({ endMs: trail.sentMs })
      return traceparent
    },
    arrived: (executionId, report) => {
      const trail = trails.get(executionId)
      const arrivedMs = clock.monotonicMs()
      if (trail) Object.assign(trail, { arrivedMs, report })
      else put(executionId, { arrivedMs, report })
    },
    departed: (executionId) => {
      if (trails.get(executionId)?.acceptedMs === undefined) trails.delete(executionId)
    },
    take: (executionId) => {
      const trail = trails.get(executionId)
      trails.delete(executionId)
      return trail
    },
    count: () => trails.size,
  }
}
