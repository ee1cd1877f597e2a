import {
  invariant,
  type TransactionEvent,
  type TransactionStatus,
  transactionTransition,
} from '@orien/protocol'
import type { Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { announce } from './effects.ts'
import { moveCarried, moveTransaction, type TransactionRow } from './store.ts'

/** What a move changes besides the state. */
export type Values = Partial<Omit<TransactionRow, 'id' | 'status'>>

/** What else is written with a move; `parts` are those that a batch carries. */
export type Effect = (unit: Unit, moved: TransactionRow, parts: readonly TransactionRow[]) => Promise<void>

/** Moves a transaction and what it carries on, and tells the sessions' readers. @returns the row as it is now, or null when somebody else moved it */
export async function move(
  ctx: Context,
  row: TransactionRow,
  event: TransactionEvent,
  values: Values = {},
  effect: Effect = async () => {},
): Promise<TransactionRow | null> {
  const next = transactionTransition(row.status as TransactionStatus, event)
  invariant(next.ok, `a transaction that is ${row.status} cannot be ${event.type}`)
  const { status } = next
  return ctx.db.write(async (unit) => {
    if (!(await moveTransaction(unit.tx, row, { ...values, status }))) return null
    const moved = { ...row, ...values, status }
    const parts = await moveParts(unit, moved)
    await announce(ctx, unit, [moved, ...parts])
    await effect(unit, moved, parts)
    return moved
  })
}

/** Whether a part is final or has failed is its own affair: that is for the effect. */
async function moveParts(unit: Unit, { kind, id, ...row }: TransactionRow): Promise<TransactionRow[]> {
  if (kind !== 'close_batch' && kind !== 'open_batch') return []
  const isOver = row.status === 'final' || row.status === 'failed'
  const status = isOver ? 'mined' : (row.status as TransactionStatus)
  const { txHash, blockNumber, blockHash } = row
  const parts = await moveCarried(unit.tx, id, { status, txHash, blockNumber, blockHash })
  return isOver ? parts.map((part) => ({ ...part, status: row.status })) : parts
}
