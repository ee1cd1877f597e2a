import type { RunReport } from '@orien/protocol'

/** When a run went from one phase to the next, by the node's monotonic clock. What did not happen is absent. */
export type Timeline = {
  readonly receivedMs: number
  /** A slot became free for it. */
  beganMs?: number
  /** exec of the tool. */
  startedMs?: number
  /** Effective time of the tool, as the driver measured it. */
  runMs?: number
}

const phase = (fromMs: number | undefined, untilMs: number | undefined): number | undefined =>
  fromMs === undefined || untilMs === undefined ? undefined : Math.max(0, Math.round(untilMs - fromMs))

/**
 * What is told about a run beside its receipt.
 *
 * @param writtenMs when the receipt was on the disk
 */
export function reportOf(line: Timeline, writtenMs: number, traceparent: string | undefined): RunReport {
  const { receivedMs, beganMs, startedMs, runMs } = line
  const endedMs = startedMs === undefined ? beganMs : startedMs + (runMs ?? 0)
  const phases = {
    queueMs: phase(receivedMs, beganMs ?? writtenMs),
    setUpMs: phase(beganMs, startedMs),
    runMs: startedMs === undefined ? undefined : Math.round(runMs ?? 0),
    receiptMs: phase(endedMs, writtenMs),
    traceparent,
  }
  const known = Object.entries(phases).filter(([, value]) => value !== undefined)
  return { v: 1, ...(Object.fromEntries(known) as Omit<RunReport, 'v'>) }
}
