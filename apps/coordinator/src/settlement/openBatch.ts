import { type Hex, invariant } from '@orien/protocol'
import { CHAIN_LIMITS, encodeTryAll, simulateBatchCall } from '@orien/rails'
import type { Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { applySuccess } from './effects.ts'
import type { RelayerChain } from './relayerChain.ts'
import { carryAlong, insertTransaction, moveParts, selectTransaction, type TransactionRow } from './store.ts'

/** A hundred take eleven million gas. */
const MOST = 100

/**
 * Puts openings that wait at the same time into one transaction, which is a quarter less gas for each. A lone one is
 * never held up for others, and what would fail, or has been in a batch before, goes alone.
 *
 * @returns what is to be signed now
 */
export async function gatherOpenings(
  ctx: Context,
  { client, signer }: RelayerChain,
  planned: readonly TransactionRow[],
): Promise<readonly TransactionRow[]> {
  const waiting = planned.filter(({ kind, attempts }) => kind === 'open' && attempts === 0).slice(0, MOST)
  if (waiting.length < 2) return planned
  const trial = await simulateBatchCall(client, callOf(ctx, waiting), signer.address)
  if (trial.status !== 'ok') return planned
  const parts = waiting.filter((_, index) => trial.refusals[index] === null)
  if (parts.length < 2) return planned
  const carrier = await carry(ctx, parts)
  const carried = new Set(parts)
  return [...planned.filter((row) => !carried.has(row)), carrier]
}

const callOf = (ctx: Context, rows: readonly TransactionRow[]) =>
  encodeTryAll(
    ctx.chain.escrow,
    rows.map(({ to, data }) => ({ to: to as Hex, data: data as Hex })),
    CHAIN_LIMITS.openingGas,
  )

async function carry(ctx: Context, parts: readonly TransactionRow[]): Promise<TransactionRow> {
  const id = ctx.random.id('payment')
  const amountMicros = parts.reduce((sum, part) => sum + part.amountMicros, 0n)
  return ctx.db.write(async (unit) => {
    const planned = { kind: 'open_batch' as const, reference: id, amountMicros, detail: {} }
    await insertTransaction(unit.tx, id, { ...planned, ...callOf(ctx, parts) })
    const ids = parts.map((part) => part.id)
    const count = await carryAlong(unit.tx, ids, id)
    invariant(count === parts.length, 'what waits is planned by one relayer')
    return selectTransaction(unit.tx, id)
  })
}

/** What follows from openings that are final together: what was left out is tried alone. */
export async function settleOpenings(
  ctx: Context,
  unit: Unit,
  parts: readonly TransactionRow[],
  channelIds: readonly Hex[],
): Promise<void> {
  const opened = new Set<string>(channelIds)
  const isOpened = ({ detail }: TransactionRow) => opened.has((detail as { channelId: Hex }).channelId)
  // Sessions are locked in the order of their ids.
  const sound = parts.filter(isOpened).sort((a, b) => ((a.sessionId ?? '') < (b.sessionId ?? '') ? -1 : 1))
  const ids = sound.map(({ id }) => id)
  await moveParts(unit.tx, ids, { status: 'final' })
  for (const part of sound) await applySuccess(ctx, unit, part)
  await sendAlone(
    unit,
    parts.filter((part) => !isOpened(part)),
  )
}

/** Openings that their batch did not make: by themselves it is found out why. */
export async function sendAlone(unit: Unit, parts: readonly TransactionRow[]): Promise<void> {
  const ids = parts.map(({ id }) => id)
  const nowhere = { txHash: null, blockNumber: null, blockHash: null }
  await moveParts(unit.tx, ids, { status: 'planned', carrierId: null, attempts: 1, ...nowhere })
}
