import {
  type ExecutionView,
  type Hex,
  type Id,
  LIMITS,
  micros,
  movedBytes,
  readReceipt,
  type ToolLimits,
} from '@orien/protocol'
import type { Executor } from '../db/executor.ts'
import type { RunEnd } from '../events/bus.ts'
import { type Joined, type LogChunk, type Submission, type Submitted, selectLogs } from './store.ts'

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
    ...(execution.mostMicros === null ? {} : { mostMicros: micros(execution.mostMicros) }),
    limits: execution.limits as ToolLimits,
    effectiveMs: execution.effectiveMs,
    cpuMs: execution.cpuMs,
    maxRssBytes: Number(execution.maxRssBytes),
    ...movedBytes(execution),
    costMicros: micros(execution.costMicros),
    argumentsSalt: execution.argumentsSalt as Hex,
    ...(receipt ? { receipt: receipt.jws, countersignature: receipt.countersignature } : {}),
    ...(execution.dispute ? { dispute: execution.dispute as NonNullable<ExecutionView['dispute']> } : {}),
    createdAt: execution.createdAt.toISOString(),
    ...(execution.startedAt ? { startedAt: execution.startedAt.toISOString() } : {}),
    ...(execution.endedAt ? { endedAt: execution.endedAt.toISOString() } : {}),
  }
}

/** A run as it was just accepted: what was asked for, and what was decided under the session's lock. */
export function acceptedRow(session: Joined['session'], asked: Submission, decided: Submitted): Joined {
  const execution: Joined['execution'] = {
    id: decided.execution,
    sessionId: session.id,
    idempotencyKey: asked.key,
    bodyHash: asked.body,
    tool: asked.tool,
    manifestHash: asked.manifest,
    args: asked.args,
    argumentsSalt: asked.salt,
    limits: asked.limits,
    status: 'pending',
    reason: null,
    grantNumber: decided.grant,
    holdMicros: BigInt(decided.hold),
    holdStatus: 'open',
    deadlineMs: decided.deadlineMs,
    mostMicros: decided.most === null ? null : BigInt(decided.most),
    voucherMicros: BigInt(decided.voucher),
    voucherSignature: decided.voucherSignature,
    costMicros: 0n,
    effectiveMs: 0,
    cpuMs: 0,
    maxRssBytes: 0n,
    readBytes: null,
    writtenBytes: null,
    exitCode: null,
    dispute: null,
    cancelRequestedAt: null,
    createdAt: new Date(decided.createdAt),
    startedAt: null,
    endedAt: null,
  }
  return { execution, session: { ...session, channelStatus: decided.channelStatus }, receipt: null }
}

/** An accepted run as it is once its receipt is recorded; see record.sql. */
export function endedRow(row: Joined, { receipt, jws, countersignature }: RunEnd): Joined {
  const { status, effectiveMs, cpuMs, costMicros, exitCode } = receipt
  const execution = {
    ...row.execution,
    ...{ status, effectiveMs, cpuMs, costMicros, exitCode },
    reason: receipt.reason ?? null,
    maxRssBytes: BigInt(receipt.maxRssBytes),
    readBytes: receipt.readBytes ?? null,
    writtenBytes: receipt.writtenBytes ?? null,
    startedAt: new Date(receipt.startedAt),
    endedAt: new Date(receipt.endedAt),
  }
  return { ...row, execution, receipt: { jws, countersignature } }
}

const logBytesOf = ({ receipt }: Joined) => (receipt ? (readReceipt(receipt.jws)?.receipt.logBytes ?? 0) : 0)

/** A run with the first part of its output, when it has ended and printed anything. */
export async function viewResult(
  db: Executor,
  row: Joined,
  logBytes: number = logBytesOf(row),
): Promise<ExecutionView> {
  const view = viewExecution(row)
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
