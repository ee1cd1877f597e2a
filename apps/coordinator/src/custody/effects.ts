import type { Unit } from '../db/executor.ts'
import type { SessionRow } from '../session/store.ts'
import type { TransactionRow } from '../settlement/store.ts'
import { moveBalance } from './store.ts'

/** A deposit or a withdrawal is final on the chain. */
export function applyTransfer(
  unit: Unit,
  { kind, agentId, amountMicros, reference }: TransactionRow,
): Promise<void> {
  const move = kind === 'withdrawal' ? 'custody_paid' : 'custody_deposit'
  return moveBalance(unit.tx, { move, agentId: agentId ?? '', amountMicros, reference })
}

type Committed = Pick<SessionRow, 'id' | 'agentId' | 'isCustodial'>

/** The deposit of a custodial session is in its channel. */
export async function fundSession(
  unit: Unit,
  { id, agentId, isCustodial }: Committed,
  amountMicros: bigint,
): Promise<void> {
  if (!isCustodial) return
  await moveBalance(unit.tx, { move: 'custody_fund', agentId, amountMicros, reference: id, sessionId: id })
}
