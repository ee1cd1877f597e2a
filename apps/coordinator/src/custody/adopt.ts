import { type Hex, invariant } from '@orien/protocol'
import type { Context } from '../context.ts'
import { moveParts, type TransactionRow } from '../settlement/store.ts'
import { isCredited, lockAgent, moveBalance, selectUnarrived } from './store.ts'

/** The error of a deposit of which it is certain that it will never arrive. */
const NEVER_ARRIVED = 'NeverArrived'
/** After its end a signed transfer cannot be submitted any more; this later also what was is final. */
const SETTLED_SECONDS = 3_600

/**
 * Looks after deposits whose transaction failed. Anyone who has seen the signature can submit the transfer, and then ours
 * fails although the money is here: it is credited to the wallet that has signed it, whoever sent it. What was cancelled,
 * or whose nonce was spent otherwise, is not.
 */
export async function adoptDeposits(ctx: Context): Promise<void> {
  for (const row of await selectUnarrived(ctx.db.read, NEVER_ARRIVED)) await adoptOne(ctx, row)
}

async function adoptOne(ctx: Context, row: TransactionRow): Promise<void> {
  const { id, reference, amountMicros: valueMicros } = row
  const { to, nonce, validBefore } = row.detail as { to: Hex; nonce: Hex; validBefore: number }
  const [from] = reference.split(' ') as [Hex]
  const arrival = await ctx.rail.findArrival({ from, to, valueMicros, nonce })
  if (arrival.status === 'arrived' && arrival.isFinal) return credit(ctx, row, arrival)
  if (arrival.status === 'unfound') ctx.log.error({ event: 'custody.unfound', transaction: id, reference })
  const isOver = arrival.status === 'unused' && (await ctx.rail.now()) > validBefore + SETTLED_SECONDS
  const isNever = arrival.status === 'elsewhere' || isOver
  const values = isNever ? { error: NEVER_ARRIVED } : { attempts: row.attempts + 1 }
  await ctx.db.write((unit) => moveParts(unit.tx, [id], { status: 'failed', ...values }))
}

async function credit(
  ctx: Context,
  { id, agentId, amountMicros, reference }: TransactionRow,
  { txHash, blockNumber }: { txHash: Hex; blockNumber: bigint },
): Promise<void> {
  invariant(agentId, 'a deposit has an agent')
  await ctx.db.write(async (unit) => {
    await lockAgent(unit.tx, agentId)
    if (await isCredited(unit.tx, reference)) return
    await moveBalance(unit.tx, { move: 'custody_deposit', agentId, amountMicros, reference })
    await moveParts(unit.tx, [id], { status: 'final', txHash, blockNumber, error: null })
  })
  ctx.log.warn({ event: 'custody.adopted', transaction: id, agentId, txHash })
}
