import { add, type Hex, type Id, invariant, type Receipt, receiptFault, signReceipt } from '@orien/protocol'
import type { NodeKey } from '../identity/keys.ts'
import type { Journal } from '../journal/journal.ts'
import type { AcceptedRun } from '../journal/record.ts'
import type { Outcome } from './outcome.ts'

/** What every receipt of this node says about it. */
export type Issuer = {
  journal: Journal
  key: NodeKey
  providerId: Id<'provider'>
  isolation: Receipt['isolation']
}

/** When a run began and ended, by the wall clock. */
export type Interval = Pick<Receipt, 'startedAt' | 'endedAt'>

/** The work that a receipt is about: an accepted run, or one that was refused and is described alike. */
export type ReceiptSubject = Omit<AcceptedRun, 'acceptedAt'>

const isBefore = (instant: string, other: string) => Date.parse(instant) < Date.parse(other)

/**
 * Signs the next receipt of a session and remembers it. Signing, numbering and the new head of the chain are one turn
 * of the loop, so two receipts of a session never take one number.
 *
 * @returns once the receipt is on the disk: only then may anybody see it
 */
export async function issueReceipt(
  issuer: Issuer,
  subject: ReceiptSubject,
  outcome: Outcome,
  interval: Interval,
): Promise<void> {
  const { journal, key, providerId, isolation } = issuer
  const session = journal.state.sessions.get(subject.sessionId)
  invariant(session, 'a receipt belongs to a session that the journal knows')
  const { head } = session
  const receipt: Receipt = {
    v: 1,
    ...subject,
    channelId: subject.channelId as Hex,
    providerId,
    isolation,
    sequence: head.sequence + 1,
    previous: head.hash,
    cumulativeMicros: add(head.cumulativeMicros, outcome.costMicros),
    ...outcome,
    startedAt: interval.startedAt,
    // The wall clock can be set back in the middle of a run.
    endedAt: isBefore(interval.endedAt, interval.startedAt) ? interval.startedAt : interval.endedAt,
  }
  const fault = receiptFault(receipt, head)
  invariant(fault === null, `a receipt of ours is sound: ${fault?.field} ${fault?.message}`)
  const { executionId, sessionId } = subject
  await journal.appendDurable({
    t: 'receipt',
    executionId,
    sessionId,
    jws: signReceipt(receipt, key.publicKey, key.sign),
  })
}
