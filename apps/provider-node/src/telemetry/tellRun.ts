import { NODE_PHASES, type RunReport } from '@orien/protocol'
import type { Tracing } from '@orien/tracing'
import type { Log } from '../log.ts'
import type { Issuer } from '../receipts/issueReceipt.ts'
import type { Outcome } from '../receipts/outcome.ts'
import type { OpenRun } from '../run/openRun.ts'
import type { NodeMetrics } from './metrics.ts'
import { reportOf } from './timeline.ts'

/** Where a run's end is told besides its receipt. */
export type Telling = { metrics: NodeMetrics; tracing: Tracing; log: Log }

/** The one line about a run: everything but arguments, output and secrets. */
export function runEvent(
  { providerId, isolation }: Pick<Issuer, 'providerId' | 'isolation'>,
  subject: OpenRun['subject'],
  outcome: Outcome,
): Record<string, unknown> {
  const { executionId, sessionId, tool, holdMicros } = subject
  const { status, reason, exitCode, effectiveMs, cpuMs, maxRssBytes, logBytes, costMicros } = outcome
  const { readBytes, writtenBytes } = outcome
  const figures = {
    status,
    reason,
    exitCode,
    effectiveMs,
    cpuMs,
    maxRssBytes,
    readBytes,
    writtenBytes,
    logBytes,
  }
  const money = { holdMicros: holdMicros.toString(), costMicros: costMicros.toString() }
  return { event: 'execution', executionId, sessionId, providerId, tool, isolation, ...figures, ...money }
}

/**
 * Tells of a run that has its receipt, once: one line, its histograms, its spans.
 *
 * @param writtenMs when the receipt was on the disk
 * @returns what the coordinator may know of it
 */
export function tellRun(
  { metrics, tracing, log }: Telling,
  issuer: Pick<Issuer, 'providerId' | 'isolation'>,
  run: OpenRun,
  outcome: Outcome,
  writtenMs: number,
): RunReport {
  const { timeline, traceparent, refusalCode } = run
  const report = reportOf(timeline, writtenMs, traceparent)
  const { queueMs, setUpMs, runMs, receiptMs } = report
  metrics.ended(outcome, report)
  if (refusalCode) metrics.refused(refusalCode)
  log.info({
    ...runEvent(issuer, run.subject, outcome),
    ...(refusalCode ? { code: refusalCode } : {}),
    ...{ queueMs, setUpMs, runMs, receiptMs },
    ...(traceparent ? { traceId: traceparent.slice(3, 35) } : {}),
  })
  if (tracing.isOn) traceRun(tracing, run, outcome, report, writtenMs)
  return report
}

const SPAN_NAMES = { queueMs: 'queue', setUpMs: 'set-up', runMs: 'run', receiptMs: 'receipt' } as const

/** The node's part of the trace: one span with its phases end to end below it. */
function traceRun(
  tracing: Tracing,
  { timeline: { receivedMs }, traceparent, subject }: OpenRun,
  { status, reason }: Outcome,
  report: RunReport,
  writtenMs: number,
): void {
  const whole = tracing.begin('node execution', { startMs: receivedMs, parent: traceparent })
  let startMs = receivedMs
  for (const phase of NODE_PHASES) {
    const durationMs = report[phase]
    if (durationMs === undefined) continue
    const endMs = Math.min(startMs + durationMs, writtenMs)
    tracing.begin(SPAN_NAMES[phase], { startMs, parent: whole.traceparent }).end({ endMs })
    startMs = endMs
  }
  const facts = { executionId: subject.executionId, tool: subject.tool, status, reason: reason ?? '' }
  whole.end({ endMs: writtenMs, facts, isError: status === 'failed' })
}
