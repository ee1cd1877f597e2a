import { ZERO } from '@orien/protocol'
import type { ChannelWatch } from '../admission/channelWatch.ts'
import { instantOf } from '../clock.ts'
import type { EarningsBook } from '../earnings/book.ts'
import type { Journal } from '../journal/journal.ts'
import type { Session } from '../journal/state.ts'
import type { Log } from '../log.ts'

/** What it takes to let a session go. */
export type Settled = {
  journal: Journal
  channels: ChannelWatch
  isOpen(sessionId: string): boolean
  earnings: Pick<EarningsBook, 'note'>
  nowMs(): number
  log: Log
}

/**
 * Forgets the money of sessions that the coordinator calls settled, as soon as the chain says so, too: until then the
 * voucher is what the provider could claim with, and nobody's word makes the node throw it away.
 */
export async function dropSettled(settled: Settled): Promise<void> {
  for (const session of [...settled.journal.state.sessions.values()]) {
    if (!session.forgotten || settled.isOpen(session.sessionId)) continue
    if (await isFinal(settled, session)) settled.journal.note({ t: 'final', sessionId: session.sessionId })
  }
}

async function isFinal({ channels, log, earnings, nowMs }: Settled, session: Session): Promise<boolean> {
  const { channel, head, sessionId } = session
  if (!channel) return true
  const reading = await channels.read(channel).catch(() => undefined)
  if (reading === undefined) return false
  if (reading === null) return head.cumulativeMicros === ZERO
  if (!reading.finalized) return false
  channels.forget(channel)
  const { settledMicros } = reading
  earnings.note({ t: 'paid', at: instantOf(nowMs()), sessionId, settledMicros })
  if (reading.settledMicros < head.cumulativeMicros) {
    const amounts = {
      earnedMicros: head.cumulativeMicros.toString(),
      settledMicros: reading.settledMicros.toString(),
    }
    log.error({ event: 'session.underpaid', sessionId, ...amounts })
  }
  return true
}
