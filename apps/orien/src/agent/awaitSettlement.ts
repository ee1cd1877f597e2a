import type { SessionView } from '@orien/protocol'
import type { Session } from '@orien/sdk'
import { settlementLine } from './sessionLines.ts'

/** How long an ended session is waited for. The money is safe either way: the provider may be away. */
const WAIT_MS = 60_000

/**
 * Ends a session and waits until payout and refund are final, as long as that is reasonable.
 *
 * @returns the final session, or undefined when it takes longer
 */
export async function awaitSettlement(
  session: Session,
  say: (line: string) => void,
): Promise<SessionView | undefined> {
  await session.end()
  const signal = AbortSignal.timeout(WAIT_MS)
  try {
    const final = await session.settled({ signal })
    const line = settlementLine(final)
    if (line !== null) say(line)
    return final
  } catch (error) {
    if (!signal.aborted) throw error
    say(`not final on the chain yet; see: orien session show ${session.id}`)
    return undefined
  }
}
