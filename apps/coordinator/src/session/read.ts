import {
  type listSessions as listOperation,
  type OperationInput,
  type OperationOutput,
  OrienError,
  type SessionView,
} from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import type { Executor } from '../db/executor.ts'
import { cutPage } from '../page.ts'
import { lockSession, type SessionRow, selectSession, selectSessions } from './store.ts'
import { viewSessions } from './view.ts'

/** Another agent's session is not found rather than forbidden: its existence is nobody's business. */
export const noSuchSession = () => new OrienError('not_found', 'There is no such session')

/** @throws OrienError `not_found` unless it is the caller's */
export function requireAgent(row: SessionRow | undefined, caller: Pick<Caller, 'agentId'>): SessionRow {
  if (!row || row.agentId !== caller.agentId) throw noSuchSession()
  return row
}

/** @throws OrienError `not_found` unless it is the caller's */
export async function sessionRow(
  ctx: Pick<Context, 'db'>,
  caller: Pick<Caller, 'agentId'>,
  id: string,
): Promise<SessionRow> {
  return requireAgent(await selectSession(ctx.db.read, id), caller)
}

/** The same under the session's row lock. */
export async function lockedSessionRow(tx: Executor, caller: Caller, id: string): Promise<SessionRow> {
  return requireAgent(await lockSession(tx, id), caller)
}

/** @throws OrienError `not_found` */
export async function getSession(ctx: Context, caller: Caller, id: string): Promise<SessionView> {
  const [view] = await viewSessions(ctx, [await sessionRow(ctx, caller, id)])
  return view as SessionView
}

/** The caller's sessions, newest first. */
export async function listSessions(
  ctx: Context,
  caller: Caller,
  query: OperationInput<typeof listOperation>['query'],
): Promise<OperationOutput<typeof listOperation>> {
  const rows = await selectSessions(ctx.db.read, {
    ...query,
    agentId: caller.agentId,
    limit: query.limit + 1,
  })
  const { shown, next } = cutPage(rows, query.limit, (row) => row.id)
  return {
    items: await viewSessions(ctx, shown),
    ...next,
  }
}
