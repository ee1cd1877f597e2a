import type { Hex } from '@orien/protocol'
import { type Opening, readOpening } from '@orien/rails'
import type { Context } from '../context.ts'
import { applyFailure, applySuccess } from './effects.ts'
import { move, type Values } from './move.ts'
import { sendAlone } from './openBatch.ts'
import type { RelayerChain, Step } from './relayerChain.ts'
import { dropBatch } from './settle.ts'
import type { Sight } from './sight.ts'
import { insertForeign, type TransactionRow } from './store.ts'

/** Why each channel of a batch would be left out. */
export type Refusals = ReadonlyMap<string, string>

/** Where a transaction has failed, and what this pass knows of it. */
export type Place = { chain: RelayerChain; sight: Sight }

/** Ends a transaction that will never do anything, with what follows from that. */
export async function fail(
  ctx: Context,
  place: Place,
  row: TransactionRow,
  values: Values,
  refusals?: Refusals,
): Promise<Step> {
  if (row.kind === 'open') return failOpening(ctx, place, row, values)
  await move(ctx, row, { type: 'failed' }, values, async (unit, moved, parts) => {
    if (row.kind === 'open_batch') return sendAlone(unit, parts)
    if (row.kind === 'close_batch') return dropBatch(ctx, unit, moved, refusals)
    return applyFailure(ctx, unit, moved)
  })
  return 'moved'
}

/**
 * A signed deposit may be sent by anybody: by its payer, or by whoever saw ours on its way and paid more. It is the same
 * channel, and its session goes on once that is final.
 */
async function failOpening(
  ctx: Context,
  { chain, sight }: Place,
  row: TransactionRow,
  values: Values,
): Promise<Step> {
  const { channelId } = row.detail as { channelId: Hex }
  const opening = await readOpening(chain.client, ctx.chain.escrow, channelId)
  if (opening.status === 'unreachable') return 'unreachable'
  if (opening.status === 'absent' || opening.depositMicros !== row.amountMicros) {
    await move(ctx, row, { type: 'failed' }, values, (unit, moved) => applyFailure(ctx, unit, moved))
    return 'moved'
  }
  const head = await sight.head(opening.blockNumber)
  if (head.status === 'unreachable') return 'unreachable'
  if (head.finalBlock < opening.blockNumber) return 'refused'
  await adopt(ctx, row, values, opening)
  return 'moved'
}

async function adopt(ctx: Context, row: TransactionRow, values: Values, opening: Opening): Promise<void> {
  const { sessionId, amountMicros, to, detail } = row
  const { txHash, blockNumber } = opening
  const facts = { id: ctx.random.id('payment'), sessionId, amountMicros, to, txHash, blockNumber, detail }
  await move(ctx, row, { type: 'failed' }, values, async (unit) => {
    await applySuccess(ctx, unit, await insertForeign(unit.tx, { kind: 'open', ...facts }))
  })
  ctx.log.warn({ event: 'deposit.opened_elsewhere', sessionId, txHash })
}
