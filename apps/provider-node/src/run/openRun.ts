import { channelId, type Dispatch, sha256Hex, sha256Schema } from '@orien/protocol'
import type { Spool } from '../output/spool.ts'
import { argumentsHash } from '../receipts/argumentsHash.ts'
import type { ReceiptSubject } from '../receipts/issueReceipt.ts'
import type { NodeStop } from '../receipts/outcome.ts'
import type { Timeline } from '../telemetry/timeline.ts'

/** A dispatch from its arrival to its signed receipt. */
export type OpenRun = {
  /** With the grant as it was raised last. */
  work: Dispatch
  subject: ReceiptSubject
  readonly spool: Spool
  readonly timeline: Timeline
  /** Its place in the coordinator's trace. */
  readonly traceparent: string | undefined
  /** Why it was refused, when it was. */
  refusalCode?: string
  /** Its voucher was good for it: from here on the hold counts against the session's next vouchers. */
  isReserved: boolean
  /** The first reason to stop it, by whoever was first. */
  stop?: NodeStop
  /** Kills the tool; absent until there is one. */
  kill?: () => void
  /** Moves the tool's deadline out; absent until there is a tool, and when it has ended. */
  extend?: (deadlineMs: number) => void
  /** When half of its grant is used up, effective time; absent for a run with one grant. */
  askAtMs?: number
  startedAt?: string
  /** When its last process was dead. */
  endedAt?: string
}

/** A hash as the receipt's form wants one, from whatever stood in its place in a dispatch that is refused. */
const hashLike = (text: string) => (sha256Schema.safeParse(text).success ? text : sha256Hex(text))

/** Arguments that have no canonical form are refused later, but their receipt has to say something. */
function hashOf(work: Dispatch): string {
  try {
    return argumentsHash(work.argumentsSalt, work.args)
  } catch {
    return argumentsHash(work.argumentsSalt, {})
  }
}

export function openRunOf(
  work: Dispatch,
  spool: Spool,
  { receivedMs, traceparent }: { receivedMs: number; traceparent?: string | undefined },
): OpenRun {
  const { executionId, sessionId, tool, grant, holdMicros, deadlineMs, rateMicrosPerMinute } = work
  const subject: ReceiptSubject = {
    executionId,
    sessionId,
    tool,
    manifestHash: hashLike(work.manifestHash),
    argumentsHash: hashOf(work),
    grant,
    holdMicros,
    deadlineMs,
    rateMicrosPerMinute,
    channelId: channelId(work.channel),
  }
  const asks = work.mostMicros === undefined ? {} : { askAtMs: Math.ceil(deadlineMs / 2) }
  return { work, subject, spool, timeline: { receivedMs }, traceparent, isReserved: false, ...asks }
}

/** The hash that the session's chain starts at. */
export const offerHashOf = (work: Dispatch): string => hashLike(work.offerHash)
