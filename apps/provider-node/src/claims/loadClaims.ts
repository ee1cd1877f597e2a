import { join } from 'node:path'
import type { ChannelTerms, Id, UsdcMicros, Voucher } from '@orien/protocol'
import { JOURNAL_PATH, readJournal } from '../journal/journal.ts'

/** What a provider can claim of one session by itself: its highest voucher, and what its receipts sum to. */
export type OpenClaim = {
  sessionId: Id<'session'>
  channel: ChannelTerms
  voucher: Voucher
  /** The sum of the signed receipts: claiming more would be more than was earned. */
  earnedMicros: UsdcMicros
  /** A close at this amount was already signed for the coordinator. */
  closed: boolean
  /** Runs without a receipt, which nothing can be claimed for: a node that is started once more signs them. */
  openRuns: number
}

/**
 * Reads from the journal what the provider has earned and the chain may not have paid yet. Also while the node runs.
 *
 * @throws OrienError `unreadable`
 */
export async function loadClaims(dataDir: string): Promise<OpenClaim[]> {
  const { sessions, openRuns } = await readJournal(join(dataDir, JOURNAL_PATH))
  const runs = [...openRuns.values()]
  const openRunsOf = (id: string) => runs.filter((run) => run.sessionId === id).length
  return [...sessions.values()].flatMap(({ sessionId, channel, voucher, head, closed }) =>
    channel && voucher && head.cumulativeMicros > 0n
      ? [
          {
            sessionId,
            channel,
            voucher,
            earnedMicros: head.cumulativeMicros,
            closed,
            openRuns: openRunsOf(sessionId),
          },
        ]
      : [],
  )
}
