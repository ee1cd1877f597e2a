import type { JournalState } from '../journal/state.ts'
import { NODE_LIMITS } from '../limits.ts'
import type { Log } from '../log.ts'
import type { ChannelWatch } from './channelWatch.ts'

/** What the guard looks after. */
export type Guarded = {
  state: Pick<JournalState, 'sessions'>
  channels: ChannelWatch
  openSessions(): Iterable<string>
  stopSession(sessionId: string): void
  log: Log
}

/**
 * Looks at the channels of sessions that have something under way. A run can be longer than the contract's grace
 * period: once the payer takes the deposit back, every further second would be unpaid, so the session is stopped.
 */
export async function guardChannels({
  state,
  channels,
  openSessions,
  stopSession,
  log,
}: Guarded): Promise<void> {
  const left = [...openSessions()]
  const look = async () => {
    for (let sessionId = left.pop(); sessionId !== undefined; sessionId = left.pop()) {
      const channel = state.sessions.get(sessionId)?.channel
      if (!channel) continue
      // A chain that does not answer proves nothing; the next look may.
      const reading = await channels.read(channel).catch(() => undefined)
      if (reading === undefined || (reading && !reading.finalized && reading.closeRequestedAt === 0)) continue
      log.warn({ event: 'channel.closing', sessionId })
      stopSession(sessionId)
    }
  }
  // One after the other, the look at a thousand channels would take longer than the time that it is good for.
  await Promise.all(Array.from({ length: NODE_LIMITS.channelReadsAtOnce }, look))
}
