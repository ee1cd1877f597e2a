import {
  type ExecutionView,
  type Hex,
  type Id,
  LIMITS,
  micros,
  readReceipt,
  type ToolLimits,
} from '@orien/protocol'
import type { Executor } from '../db/executor.ts'
import { type Joined, type LogChunk, selectLogs } from './store.ts'

/** A run without its output. */
export function viewExecution({ execution, session, receipt }: Joined): ExecutionView {
  return {
    id: execution.id as Id<'execution'>,
    sessionId: execution.sessionId as Id<'session'>,
    providerId: session.providerId as Id<'provider'>,
    tool: execution.tool,
    status: execution.status as ExecutionView['status'],
    ...(execution.reason ? { reason: execution.reason as NonNullable<ExecutionView['reason']> } : {}),
    exitCode: execution.exitCode,
    grant: execution.grantNumber,
    holdMicros: micros(execution.holdMicros),
    deadlineMs: execution.deadlineMs,
    limits: execution.limits as ToolLimits,
    effectiveMs: execution.effectiveMs,
    cpuMs: execution.cpuMs,
    maxRssBytes: Number(execution.maxRssBytes),
    costMicros: micros(execution.costMicros),
    argumentsSalt: execution.argumentsSalt as Hex,
    ...(receipt ? { receipt: receipt.jws, countersignature: receipt.countersignature } : {}),
    ...(execution.dispute ? { dispute: execution.dispute as NonNullable<ExecutionView['dispute']> } : {}),
    createdAt: execution.createdAt.toISOString(),
    ...(execution.startedAt ? { startedAt: execution.startedAt.toISOString() } : {}),
    ...(execution.endedAt ? { endedAt: execution.endedAt.toISOString() } : {}),
  }
}

/** A run with the first part of its output, when it has ended and printed anything. */
export async function viewResult(db: Executor, row: Joined): Promise<ExecutionView> {
  const view = viewExecution(row)
  const logBytes = row.receipt ? (readReceipt(row.receipt.jws)?.receipt.logBytes ?? 0) : 0
  if (logBytes === 0) return row.receipt ? { ...view, stdout: '', stderr: '', outputTruncated: false } : view
  const chunks = await selectLogs(db, row.execution.id, 0, MAX_CHUNKS)
  return { ...view, ...inlineOutput(chunks), outputTruncated: logBytes > LIMITS.inlineOutputBytes }
}

const MAX_CHUNKS = 1_000

function inlineOutput(chunks: readonly LogChunk[]): { stdout: string; stderr: string } {
  let left: number = LIMITS.inlineOutputBytes
  const parts: Record<LogChunk['stream'], Uint8Array[]> = { stdout: [], stderr: [] }
  for (const { stream, data } of chunks) {
    parts[stream].push(data.subarray(0, left))
    left -= Math.min(left, data.length)
  }
  const text = (stream: LogChunk['stream']) => new TextDecoder().decode(Buffer.concat(parts[stream]))
  return { stdout: text('stdout'), stderr: text('stderr') }
}
