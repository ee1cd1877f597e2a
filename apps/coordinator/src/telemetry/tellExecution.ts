import type { Receipt } from '@orien/protocol'
import type { SpanFacts } from '@orien/tracing'
import type { Context } from '../context.ts'
import type { Phase } from './metrics.ts'
import { sampleOf } from './sample.ts'
import type { Trail } from './trails.ts'

type Teller = Pick<Context, 'clock' | 'log' | 'metrics' | 'trails' | 'tracing'>

/** The phases that are known, in milliseconds. The node's own are its word, which no money follows from. */
function phasesOf(trail: Trail, nowMs: number): Partial<Record<Phase, number>> {
  const { beganMs, acceptedMs, sentMs, arrivedMs, report } = trail
  const between = (fromMs: number | undefined, untilMs: number | undefined) =>
    fromMs === undefined || untilMs === undefined ? undefined : Math.max(0, untilMs - fromMs)
  const { queueMs, setUpMs, runMs, receiptMs } = report ?? {}
  const awayMs = between(sentMs, arrivedMs)
  const atNodeMs = (queueMs ?? 0) + (setUpMs ?? 0) + (runMs ?? 0) + (receiptMs ?? 0)
  const phases: Record<Phase, number | undefined> = {
    submit: between(beganMs, acceptedMs),
    dispatch: between(acceptedMs, sentMs),
    queue: queueMs,
    set_up: setUpMs,
    run: runMs,
    receipt: receiptMs,
    transit: awayMs === undefined || !report ? undefined : Math.max(0, awayMs - atNodeMs),
    commit: between(arrivedMs, nowMs),
  }
  return Object.fromEntries(Object.entries(phases).filter(([, ms]) => ms !== undefined))
}

const tenths = (ms: number) => Math.round(ms * 10) / 10

/** Histograms and the line's own keys, `queueMs` and so on. */
function tellPhases({ metrics }: Teller, trail: Trail, nowMs: number): Record<string, number> {
  const told: Record<string, number> = {}
  for (const [phase, ms] of Object.entries(phasesOf(trail, nowMs))) {
    metrics.phase(phase as Phase, ms)
    told[phase === 'set_up' ? 'setUpMs' : `${phase}Ms`] = tenths(ms)
  }
  if (trail.beganMs === undefined) return told
  metrics.executionSeconds.observe((nowMs - trail.beganMs) / 1_000)
  return { ...told, totalMs: tenths(nowMs - trail.beganMs) }
}

function endSpans({ tracing }: Teller, trail: Trail, nowMs: number, facts: SpanFacts, isError: boolean) {
  if (!tracing.isOn) return
  // After a restart only the node's word says which trace the execution belongs to.
  const parent = trail.span?.traceparent ?? trail.report?.traceparent
  if (trail.arrivedMs !== undefined && parent !== undefined)
    tracing.begin('commit', { startMs: trail.arrivedMs, parent }).end({ endMs: nowMs })
  trail.span?.end({ endMs: nowMs, facts, isError })
}

/**
 * Tells of an execution whose receipt was recorded or disputed, once: one line with all of its phases, its histograms,
 * the rest of its spans. No arguments, no output.
 *
 * @param code of a dispute
 */
export function tellExecution(ctx: Teller, receipt: Receipt, code?: string): void {
  const { metrics, trails, clock, log } = ctx
  const { executionId, sessionId, providerId, tool, status, reason, isolation, effectiveMs } = receipt
  const trail = trails.take(executionId) ?? {}
  const nowMs = clock.monotonicMs()
  const outcome = code === undefined ? 'recorded' : 'disputed'
  if (code === undefined) {
    metrics.executions.inc({ status, reason: reason ?? '' })
    metrics.billedSeconds.inc(effectiveMs / 1_000)
    metrics.capturedMicros.inc(sampleOf(receipt.costMicros))
  } else metrics.disputes.inc()
  const { exitCode, cpuMs, maxRssBytes, readBytes, writtenBytes, logBytes, holdMicros, costMicros } = receipt
  log.info({
    ...{ event: 'execution', executionId, sessionId, providerId, tool, isolation },
    ...{ outcome, status, reason, code, exitCode, effectiveMs, cpuMs },
    ...{ maxRssBytes, readBytes, writtenBytes, logBytes },
    ...{ holdMicros: holdMicros.toString(), costMicros: code === undefined ? costMicros.toString() : '0' },
    ...tellPhases(ctx, trail, nowMs),
    traceId: trail.span?.traceparent?.slice(3, 35),
  })
  endSpans(
    ctx,
    trail,
    nowMs,
    { executionId, tool, outcome, status, reason: reason ?? '' },
    status === 'failed',
  )
}

/** Tells of an execution whose lease ended without a receipt, once. */
export function tellLost(
  ctx: Teller,
  { executionId, sessionId }: Record<'executionId' | 'sessionId', string>,
) {
  const { metrics, trails, clock, log } = ctx
  const trail = trails.take(executionId) ?? {}
  const nowMs = clock.monotonicMs()
  metrics.executions.inc({ status: 'failed', reason: 'lost' })
  metrics.leasesExpired.inc()
  const { providerId, tool, holdMicros } = trail.facts ?? {}
  log.warn({
    ...{ event: 'execution', executionId, sessionId, providerId, tool },
    ...{
      outcome: 'lost',
      status: 'failed',
      reason: 'lost',
      holdMicros: holdMicros?.toString(),
      costMicros: '0',
    },
    ...tellPhases(ctx, trail, nowMs),
    traceId: trail.span?.traceparent?.slice(3, 35),
  })
  endSpans(ctx, trail, nowMs, { executionId, outcome: 'lost' }, true)
}
