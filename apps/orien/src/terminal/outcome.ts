import type { ExecutionView } from '@orien/protocol'
import { exactUsdc, shortBytes, shortTime } from './amounts.ts'

/** `completed`, or why a run failed. */
export function outcomeOf({ status, reason }: Pick<ExecutionView, 'status' | 'reason'>): string {
  return reason ?? status
}

/** A finished run in one line: how it ended, what was measured, what it cost. */
export function outcomeLine(
  view: Pick<
    ExecutionView,
    | 'status'
    | 'reason'
    | 'exitCode'
    | 'effectiveMs'
    | 'cpuMs'
    | 'maxRssBytes'
    | 'readBytes'
    | 'writtenBytes'
    | 'costMicros'
  >,
): string {
  const exit = view.reason === 'nonzero_exit' ? ` ${view.exitCode}` : ''
  const memory = view.maxRssBytes > 0 ? `, ${shortBytes(view.maxRssBytes)} at most` : ''
  const { readBytes, writtenBytes } = view
  const read = readBytes === undefined ? '' : `, ${shortBytes(readBytes)} read`
  const written = writtenBytes === undefined ? '' : `, ${shortBytes(writtenBytes)} written`
  const measured = `${shortTime(view.effectiveMs)} effective, ${shortTime(view.cpuMs)} CPU${memory}${read}${written}`
  return `${outcomeOf(view)}${exit}  ${measured}  ${exactUsdc(view.costMicros)} USDC`
}
