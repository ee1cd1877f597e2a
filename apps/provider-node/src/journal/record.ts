import {
  bytes32,
  channelTerms,
  executionId,
  extension,
  instant,
  sessionId,
  sha256Schema,
  toolId,
  usdcMicros,
  voucher,
} from '@orien/protocol'
import { z } from 'zod'

/** Where a session's chain of receipts stands. */
const head = z.strictObject({ sequence: z.int().min(0), hash: sha256Schema, cumulativeMicros: usdcMicros })

/** A run that passed every check: enough for a receipt, should the node die in the middle; no arguments. */
const acceptedRun = z.strictObject({
  executionId,
  sessionId,
  tool: toolId,
  manifestHash: sha256Schema,
  argumentsHash: sha256Schema,
  grant: z.int().positive(),
  holdMicros: usdcMicros,
  deadlineMs: z.int().positive(),
  rateMicrosPerMinute: usdcMicros,
  channelId: bytes32,
  acceptedAt: instant,
})
/** See {@link acceptedRun}. */
export type AcceptedRun = z.output<typeof acceptedRun>

/** A receipt that the coordinator has not acknowledged. */
const pendingReceipt = z.strictObject({
  executionId,
  sessionId,
  sequence: z.int().positive(),
  jws: z.string(),
  /** The coordinator's last word on it, when that was a refusal. */
  refusal: z.strictObject({ code: z.string(), detail: z.string(), isFinal: z.boolean() }).optional(),
})
/** See {@link pendingReceipt}. */
export type PendingReceipt = z.output<typeof pendingReceipt>

/** All that outlives a run: what was promised, what was earned, what can be claimed. */
const sessionRecord = z.strictObject({
  sessionId,
  offerHash: sha256Schema,
  head,
  /** Fixed by the first accepted run. */
  channel: channelTerms.optional(),
  /** The highest that was checked: what the provider can claim with. */
  voucher: voucher.optional(),
  /** The receipt at the head of the chain: what backs a claim. */
  lastReceipt: z.string().optional(),
  /** The last receipt that the coordinator has acknowledged: what both sides stand behind. */
  agreedReceipt: z.string().optional(),
  /** The close was signed: no work may come after it. */
  closed: z.boolean(),
  /** No new work. */
  ended: z.boolean(),
  /** The coordinator says it is settled; kept until the chain says so too. */
  forgotten: z.boolean(),
  /** Executions that have a receipt: a second dispatch of one is not a second run. */
  done: z.array(executionId),
})
/** See {@link sessionRecord}. */
export type SessionRecord = z.output<typeof sessionRecord>

/** One line of the journal. */
const journalRecord = z.discriminatedUnion('t', [
  z.strictObject({ t: z.literal('offer'), jws: z.string() }),
  z.strictObject({ t: z.literal('session'), sessionId, offerHash: sha256Schema }),
  z.strictObject({ t: z.literal('accepted'), run: acceptedRun, channel: channelTerms, voucher }),
  /** The grant of an open run was raised; the voucher stays good for the session whatever became of the run. */
  extension.extend({ t: z.literal('extended') }),
  z.strictObject({ t: z.literal('receipt'), executionId, sessionId, jws: z.string() }),
  z.strictObject({ t: z.literal('acknowledged'), executionId, countersignature: z.string() }),
  z.strictObject({
    t: z.literal('refused'),
    executionId,
    code: z.string(),
    detail: z.string(),
    isFinal: z.boolean(),
  }),
  z.strictObject({ t: z.literal('ended'), sessionId }),
  z.strictObject({ t: z.literal('closed'), sessionId }),
  z.strictObject({ t: z.literal('forgotten'), sessionId }),
  /** The chain has closed it: nothing of the session is needed any more. */
  z.strictObject({ t: z.literal('final'), sessionId }),
  /** What a rewritten journal begins with. */
  z.strictObject({ t: z.literal('snapshotSession'), session: sessionRecord }),
  z.strictObject({ t: z.literal('snapshotRun'), run: acceptedRun }),
  z.strictObject({ t: z.literal('snapshotReceipt'), receipt: pendingReceipt }),
])
/** See {@link journalRecord}. */
export type JournalRecord = z.output<typeof journalRecord>

/** @returns one line, with its end */
export function encodeRecord(record: JournalRecord): string {
  return `${JSON.stringify(journalRecord.encode(record))}\n`
}

/** @returns null for anything but a whole record */
export function decodeRecord(line: string): JournalRecord | null {
  try {
    const parsed = journalRecord.safeDecode(JSON.parse(line))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}
