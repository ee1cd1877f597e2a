import type { Context } from '../../apps/coordinator/src/context.ts'
import {
  selectCarried,
  selectOpenTransactions,
  type TransactionRow,
} from '../../apps/coordinator/src/settlement/store.ts'

/** The oldest transaction of a session that is not over; a close is a part of a batch. */
export async function oldestPlanned(
  { db }: Pick<Context, 'db'>,
  sessionId: string,
): Promise<TransactionRow | undefined> {
  const open = await selectOpenTransactions(db.read, { except: [], limit: 100 })
  const carried = await Promise.all(open.map(({ id }) => selectCarried(db.read, id)))
  const all = [...open, ...carried.flat().filter(({ status }) => status === 'planned')]
  return all.find((row) => row.sessionId === sessionId)
}
