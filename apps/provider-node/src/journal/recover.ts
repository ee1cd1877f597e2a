import { instantOf } from '../clock.ts'
import { type Issuer, issueReceipt, type ReceiptSubject } from '../receipts/issueReceipt.ts'
import { freeOutcome, type Outcome } from '../receipts/outcome.ts'

/**
 * Ends the runs that an earlier process of this node left open. What they used is not known, so they cost nothing; that
 * they failed is signed all the same, because the coordinator and the agent wait for an end.
 *
 * @returns what is known of each, and how it ended
 */
export async function recoverRuns(
  issuer: Issuer,
  nowMs: number,
): Promise<{ subject: ReceiptSubject; outcome: Outcome }[]> {
  const runs = [...issuer.journal.state.openRuns.values()]
  const outcome = freeOutcome('sandbox_error')
  const ended: { subject: ReceiptSubject; outcome: Outcome }[] = []
  for (const { acceptedAt, ...subject } of runs) {
    const interval = { startedAt: acceptedAt, endedAt: instantOf(nowMs) }
    await issueReceipt(issuer, subject, outcome, interval)
    ended.push({ subject, outcome })
  }
  return ended
}
