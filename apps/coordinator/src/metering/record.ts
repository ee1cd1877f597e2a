import {
  costMicros,
  durationMs,
  LIMITS,
  movedBytes,
  OrienError,
  type ReadReceipt,
  type Receipt,
  readReceipt,
} from '@orien/protocol'
import type { Context } from '../context.ts'
import type { Batcher } from '../db/batcher.ts'
import { DATABASE_LIMITS } from '../db/limits.ts'
import type { RunEnd } from '../events/bus.ts'
import { verifyEd25519 } from '../keys.ts'
import { beginEnd, completeIfDrained } from '../session/end.ts'
import { lockSession } from '../session/store.ts'
import { observedBatcher } from '../telemetry/observedBatcher.ts'
import { tellExecution } from '../telemetry/tellExecution.ts'
import { type Recorded, type Recording, recordAll } from './store.ts'

/** Records receipts in batches. */
export type Recorder = Batcher<Recording, Recorded>

/** One per process: receipts that arrive together share a commit. */
export function createRecorder(ctx: Pick<Context, 'db' | 'metrics' | 'clock'>): Recorder {
  return observedBatcher<Recording, Recorded>(ctx, 'receipt', {
    flush: (items) => recordAll(ctx.db.pool, items),
    keyOf: (item) => item.execution,
    // Receipts of a session are a chain: a later one must not overtake in a flush of its own.
    groupOf: (item) => item.session,
    concurrency: DATABASE_LIMITS.batchFlushes,
  })
}

/** What the way of a receipt to us adds to it. */
export type Arrival = {
  /** The run's start was reported and is not written yet: it is told with the receipt. */
  wasStarted: boolean
  /** Nothing is left of the session but to settle. */
  onSessionOver: () => void
}

const PLAIN: Arrival = { wasStarted: false, onSessionOver: () => {} }

/** The answer to one receipt. */
export type ReceiptAnswer =
  | { accepted: true; executionId: Receipt['executionId']; countersignature: string }
  | { accepted: false; executionId?: Receipt['executionId']; code: string; detail: string }

/**
 * Records one receipt: verified by its signature, in its place of the chain, priced by the rule, never above its hold.
 * The same receipt again gets the same answer; the ledger moves once.
 *
 * @returns a refusal or a dispute as an answer, not as an error: the ledger is untouched then
 * @throws OrienError `database_unavailable`, `overloaded`
 */
export async function recordReceipt(
  ctx: Context,
  recorder: Recorder,
  jws: string,
  arrival: Arrival = PLAIN,
): Promise<ReceiptAnswer> {
  const answer = await judge(ctx, recorder, jws, arrival)
  if (!answer.accepted) ctx.metrics.receiptRefused(answer.code)
  return answer
}

// Up to `submit` nothing here waits: receipts reach the recorder in the order of the calls.
async function judge(
  ctx: Context,
  recorder: Recorder,
  jws: string,
  { wasStarted, onSessionOver }: Arrival,
): Promise<ReceiptAnswer> {
  const read = readReceipt(jws)
  if (!read) return { accepted: false, code: 'validation_failed', detail: 'This is not a receipt' }
  const { executionId } = read.receipt
  const fault = findFault(read)
  if (fault) return { accepted: false, executionId, ...fault }
  const recording = { ...recordingOf(ctx, jws, read), wasStarted }
  const recorded = await recorder.submit(recording)
  await followUp(ctx, { receipt: read.receipt, jws, countersignature: recording.countersignature }, recorded)
  if (recorded.drained) onSessionOver()
  switch (recorded.outcome) {
    case 'accepted':
      return { accepted: true, executionId, countersignature: recording.countersignature }
    case 'replayed':
      return { accepted: true, executionId, countersignature: recorded.countersignature }
    case 'refused':
      return {
        accepted: false,
        executionId,
        code: recorded.code ?? 'receipt_mismatch',
        detail: recorded.detail,
      }
    case 'disputed':
      return {
        accepted: false,
        executionId,
        code: 'receipt_disputed',
        detail: `${recorded.code}: ${recorded.detail}`,
      }
  }
}

/** What the receipt alone gives away: a false signature, or figures that do not follow from one another. */
function findFault({ receipt, nodeKey, verify }: ReadReceipt): { code: string; detail: string } | null {
  // Whether this key is its provider's is decided with everything else that the rows say; see decide.sql.
  if (!verify(nodeKey, verifyEd25519)) {
    return { code: 'signature_invalid', detail: 'The receipt is not signed by the node of its provider' }
  }
  const isRejected = receipt.reason === 'rejected'
  const cost = isRejected ? 0n : costMicros(receipt.rateMicrosPerMinute, durationMs(receipt.effectiveMs))
  if (
    receipt.costMicros !== cost ||
    receipt.costMicros > receipt.holdMicros ||
    receipt.effectiveMs > receipt.deadlineMs ||
    !isPlain(receipt)
  ) {
    return {
      code: 'receipt_mismatch',
      detail: 'The cost does not follow from rate and time, or exceeds the hold, or a figure is absurd',
    }
  }
  return null
}

const MAX_INT4 = 2 ** 31 - 1

/** Whether the figures that nothing else bounds fit their columns: one that does not would break its whole batch. */
function isPlain({ cpuMs, exitCode, startedAt, endedAt }: Receipt): boolean {
  const isYear = (instant: string) => instant >= '0001'
  return cpuMs <= MAX_INT4 && Math.abs(exitCode ?? 0) <= MAX_INT4 && isYear(startedAt) && isYear(endedAt)
}

function recordingOf(
  ctx: Context,
  jws: string,
  { receipt, hash, nodeKey }: ReadReceipt,
): Omit<Recording, 'wasStarted'> {
  const observedMs = ctx.dispatcher.observedMs(receipt.executionId)
  return {
    execution: receipt.executionId,
    session: receipt.sessionId,
    provider: receipt.providerId,
    nodeKey,
    channel: receipt.channelId,
    sequence: receipt.sequence,
    previous: receipt.previous,
    hash,
    jws,
    countersignature: ctx.key.countersign(hash, ctx.clock.now()),
    tool: receipt.tool,
    manifest: receipt.manifestHash,
    grant: receipt.grant,
    rate: receipt.rateMicrosPerMinute.toString(),
    hold: receipt.holdMicros.toString(),
    deadlineMs: receipt.deadlineMs,
    status: receipt.status,
    ...(receipt.reason ? { reason: receipt.reason } : {}),
    cost: receipt.costMicros.toString(),
    cumulative: receipt.cumulativeMicros.toString(),
    effectiveMs: receipt.effectiveMs,
    cpuMs: receipt.cpuMs,
    maxRss: receipt.maxRssBytes.toString(),
    ...movedBytes(receipt),
    exitCode: receipt.exitCode,
    startedAt: receipt.startedAt,
    endedAt: receipt.endedAt,
    ...(observedMs === null ? {} : { observedMs: Math.round(observedMs) }),
    toleranceMs: LIMITS.toleranceMs,
    tolerancePerMille: LIMITS.tolerancePerMille,
  }
}

async function followUp(ctx: Context, end: RunEnd, recorded: Recorded): Promise<void> {
  const { sessionId, executionId } = end.receipt
  const { sequence, outcome } = recorded
  if (outcome === 'accepted' || outcome === 'disputed') ctx.dispatcher.forget(executionId)
  if (outcome === 'accepted') tellExecution(ctx, end.receipt)
  if (sequence !== null) {
    const ended = { kind: 'event', sequence, ended: executionId } as const
    ctx.bus.publish(sessionId, outcome === 'accepted' ? { ...ended, end } : ended)
  }
  if (recorded.drained) await completeIfDrained(ctx, sessionId)
  if (recorded.outcome !== 'disputed') return
  tellExecution(ctx, end.receipt, recorded.code ?? 'receipt_disputed')
  // Its chain of receipts is broken from here on, so nothing more may be built on it.
  await ctx.db.write(async (unit) => {
    const row = await lockSession(unit.tx, sessionId)
    if (row) await beginEnd(ctx, unit, row, 'dispute')
  })
}

/** The one error of a report with a single bad receipt; several are answered one by one. */
export function reportError(answer: Extract<ReceiptAnswer, { accepted: false }>): OrienError {
  return new OrienError(answer.code as ConstructorParameters<typeof OrienError>[0], answer.detail)
}
