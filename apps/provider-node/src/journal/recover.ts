import { instantOf } from '../clock.ts'
import { type Issuer, issueReceipt } from '../receipts/issueReceipt.ts'
import { freeOutcome } from '../receipts/outcome.ts'

/**
 * Ends the runs that an earlier process of this node left open. What they used is not known, so they cost nothing; that
 * they failed is signed all the same, because the coordinator and the agent wait for an end.
 *
 * @returns how many there were
 */
export async function recoverRuns(issuer: Issuer, nowMs: number): Promise<number> {
  const runs = [...issuer.journal.state.openRuns.values()]
  for (const { acceptedAt, ...subject } of runs) {
    const interval = { startedAt: acceptedAt, endedAt: instantOf(nowMs) }
    await issueReceipt(issuer, subject, freeOutcome('sandbox_error'), interval)
  }
  return runs.length
}
