import type { Hex } from '@orien/protocol'
import { type BatchOutcome, readBatchOutcome, readOpenedChannels, readTransaction } from '@orien/rails'
import type { Context } from '../context.ts'
import { applySuccess } from './effects.ts'
import { fail } from './fail.ts'
import { type Effect, move, type Values } from './move.ts'
import { settleOpenings } from './openBatch.ts'
import type { RelayerChain, Step } from './relayerChain.ts'
import { readClosings, settleBatch } from './settle.ts'
import type { Sight } from './sight.ts'
import type { TransactionRow } from './store.ts'

/**
 * Lets a mined transaction count once it is as deep as the chain's profile asks, and not before.
 *
 * @returns `gone` when it is in no block any more
 */
export async function bury(
  ctx: Context,
  chain: RelayerChain,
  sight: Sight,
  row: TransactionRow,
): Promise<Step | 'gone'> {
  const state = await readTransaction(chain.client, row.txHash as Hex)
  if (state.status === 'unreachable') return 'unreachable'
  if (state.status !== 'mined') return 'gone'
  const head = await sight.head(state.blockNumber)
  if (head.status === 'unreachable') return 'unreachable'
  if (head.finalBlock < state.blockNumber) return 'waiting'
  const { blockNumber, blockHash, gasUsed, effectiveGasPrice } = state
  const where: Values = { blockNumber, blockHash, gasUsed, feeWei: gasUsed * effectiveGasPrice }
  if (state.outcome === 'reverted') {
    return fail(ctx, { chain, sight }, row, { ...where, error: 'Reverted' })
  }
  const effect = await effectOf(ctx, chain, row)
  if (!effect) return 'unreachable'
  await move(ctx, row, { type: 'finalised' }, where, effect)
  return 'moved'
}

/** @returns null when the chain cannot be asked now */
async function effectOf(ctx: Context, chain: RelayerChain, row: TransactionRow): Promise<Effect | null> {
  if (row.kind === 'open_batch') {
    const opening = await readOpenedChannels(chain.client, ctx.chain.escrow, row.txHash as Hex)
    if (opening.status === 'unreachable') return null
    return (unit, _moved, parts) => settleOpenings(ctx, unit, parts, opening.channelIds)
  }
  if (row.kind !== 'close' && row.kind !== 'close_batch')
    return (unit, moved) => applySuccess(ctx, unit, moved)
  const reading = await readBatchOutcome(chain.client, ctx.chain.escrow, row.txHash as Hex)
  if (reading.status === 'unreachable') return null
  const { outcome } = reading
  if (row.kind === 'close_batch') return (unit, _moved, parts) => settleBatch(ctx, unit, parts, outcome)
  return (unit, moved) => applySuccess(ctx, unit, moved, closedBy(moved, outcome))
}

const closedBy = (row: TransactionRow, outcome: BatchOutcome) =>
  readClosings([row], outcome).closings[0]?.closed ?? null
