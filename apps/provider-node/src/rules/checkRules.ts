import type { Dispatch } from '@orien/protocol'
import type { Refusal } from '../admission/checkDispatch.ts'
import type { Session } from '../journal/state.ts'
import type { Rules } from './ruleBook.ts'

/** Whether the node has taken work of a session that may go on. */
export const isUnderWay = ({ channel, ended, closed, forgotten }: Session): boolean =>
  channel !== undefined && !ended && !closed && !forgotten

/** What the owner has decided about a run, whoever sent it. */
export function checkRules(
  { mode, blocked, limits }: Rules,
  work: Pick<Dispatch, 'sessionId' | 'channel'>,
  sessions: ReadonlyMap<string, Session>,
): Refusal | null {
  if (mode === 'killed') return { code: 'provider_closed', detail: 'the owner has stopped all work' }
  if (blocked.includes(work.channel.payer))
    return { code: 'payer_blocked', detail: 'the owner does not serve this wallet' }
  if (sessions.get(work.sessionId)?.channel !== undefined) return null
  if (mode === 'draining') return { code: 'provider_closed', detail: 'the node takes no new sessions' }
  const { maxSessions } = limits
  if (maxSessions === undefined || [...sessions.values()].filter(isUnderWay).length < maxSessions) return null
  return { code: 'provider_full', detail: `the owner allows ${maxSessions} sessions at once` }
}
