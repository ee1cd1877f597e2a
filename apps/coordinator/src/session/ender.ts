import type { OrienError, SessionView } from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { observedBatcher } from '../telemetry/observedBatcher.ts'
import { beginEnds, hasFailed } from './end.ts'
import { noSuchSession } from './read.ts'
import { lockSessions, type SessionRow } from './store.ts'
import { viewSession, viewSessions } from './view.ts'

/** Ends sessions at their agents' request, many in one commit. */
export type Ender = {
  /** See `endSession`. @throws OrienError `not_found`, `illegal_transition` for a session that has failed */
  end: (caller: Pick<Caller, 'agentId'>, id: string) => Promise<SessionView>
}

type Request = { id: string; agentId: string }
type Answer = { row: SessionRow; hadEnded: boolean } | { refusal: OrienError }

/** One per process: sessions that end together share a commit. */
export function createEnder(ctx: Context): Ender {
  const batcher = observedBatcher<Request, Answer>(ctx, 'end', {
    flush: (requests) => ctx.db.write((unit) => endAll(ctx, unit, requests)),
    keyOf: ({ id }) => id,
  })
  return {
    end: async ({ agentId }, id) => {
      const answer = await batcher.submit({ id, agentId })
      if ('refusal' in answer) throw answer.refusal
      // Only what had ended before can have a settlement to tell of.
      if (!answer.hadEnded) return viewSession(answer.row, ctx.chain)
      const [view] = await viewSessions(ctx, [answer.row])
      return view as SessionView
    },
  }
}

async function endAll(ctx: Context, unit: Unit, requests: readonly Request[]): Promise<Answer[]> {
  const locked = await lockSessions(
    unit.tx,
    requests.map(({ id }) => id),
  )
  const owned = new Map(requests.map(({ id, agentId }) => [id, agentId]))
  const ours = locked.filter(({ id, agentId, status }) => owned.get(id) === agentId && status !== 'failed')
  const ended = await beginEnds(ctx, unit, ours, 'requested')
  const rows = new Map(locked.map((row) => [row.id, row]))
  const changed = new Map(ended.map((row) => [row.id, row]))
  return requests.map(({ id, agentId }) => {
    const row = rows.get(id)
    if (row?.agentId !== agentId) return { refusal: noSuchSession() }
    if (row.status === 'failed') return { refusal: hasFailed() }
    return { row: changed.get(id) ?? row, hadEnded: !changed.has(id) }
  })
}
