import type { Hex, TransactionStatus } from '@orien/protocol'
import { type BatchOutcome, broadcast, readBatchOutcome, readHead, readTransaction } from '@orien/rails'
import type { Context } from '../context.ts'
import { databaseFailure, isOutage } from '../db/failure.ts'
import { atOnce } from '../jobs/atOnce.ts'
import type { Patience } from '../jobs/patience.ts'
import { applySuccess } from './effects.ts'
import { type Effect, move, type Values } from './move.ts'
import { readClosings, settleBatch } from './settle.ts'
import { fail, type RelayerChain, RPC_WIDTH, type Step, signPlanned } from './sign.ts'
import { selectOpenTransactions, type TransactionRow } from './store.ts'

const BATCH = 200

/**
 * One pass over everything that is not over. Each move is stored before the next thing happens, so a crash at any point
 * resumes with the same bytes: a transaction is signed once, and an unknown outcome is never answered with a new one.
 * One that is refused or breaks is left alone for a while, and holds up no other.
 *
 * @returns whether anything moved; then another pass is worth it
 */
export async function relayOnce(ctx: Context, chain: RelayerChain, patience: Patience): Promise<boolean> {
  const open = await selectOpenTransactions(ctx.db.read, { except: patience.resting(), limit: BATCH })
  const planned = open.filter((row) => row.status === 'planned')
  const signed = await signPlanned(ctx, chain, planned)
  const underWay = [...open.filter((row) => row.status !== 'planned'), ...signed.map(({ row }) => row)]
  const stepOf = new Map(signed.map(({ row, step }) => [row.id, step]))
  const steps = await atOnce(RPC_WIDTH, underWay, async (row) => {
    const before = stepOf.get(row.id)
    const step = row.status === 'planned' ? before : await advanceSafely(ctx, chain, row)
    if (step === 'refused') patience.failed(row.id)
    else if (step === 'moved') patience.worked(row.id)
    return before === 'moved' && step === 'waiting' ? 'moved' : step
  })
  return steps.includes('moved') && !steps.includes('unreachable')
}

/** What is wrong with one transaction is told and is its own; what is wrong with the database ends the pass. */
async function advanceSafely(ctx: Context, chain: RelayerChain, row: TransactionRow): Promise<Step> {
  try {
    return await advance(ctx, chain, row)
  } catch (err) {
    if (isOutage(databaseFailure(err, 'unknown'))) throw err
    const { id: transaction, kind, status, sessionId } = row
    ctx.log.error({ event: 'settlement.broken', transaction, kind, status, sessionId, err })
    return 'refused'
  }
}

function advance(ctx: Context, chain: RelayerChain, row: TransactionRow): Promise<Step> {
  switch (row.status as TransactionStatus) {
    case 'signed':
    case 'reorged':
      return send(ctx, chain, row)
    case 'broadcast':
      return follow(ctx, chain, row)
    case 'mined':
      return bury(ctx, chain, row)
    case 'planned':
    case 'final':
    case 'failed':
      return Promise.resolve('waiting')
  }
}

async function send(ctx: Context, chain: RelayerChain, row: TransactionRow): Promise<Step> {
  const sent = await broadcast(chain.client, row.raw as Hex)
  switch (sent.status) {
    case 'accepted':
    case 'already_known':
    case 'nonce_too_low': {
      // A spent nonce is most often our own bytes, mined while the answer was lost: following tells.
      if (row.status === 'broadcast') return 'waiting'
      const moved = await move(ctx, row, { type: 'broadcast' }, { attempts: row.attempts + 1 })
      if (moved) await follow(ctx, chain, moved)
      return 'moved'
    }
    case 'unreachable':
      return 'unreachable'
    case 'underpriced':
    case 'rejected':
      ctx.log.error({
        event: 'settlement.refused',
        transaction: row.id,
        status: sent.status,
        message: sent.message,
      })
      return 'refused'
  }
}

async function follow(ctx: Context, chain: RelayerChain, row: TransactionRow): Promise<Step> {
  const state = await readTransaction(chain.client, row.txHash as Hex)
  if (state.status === 'unreachable') return 'unreachable'
  if (state.status === 'pending') return 'waiting'
  if (state.status === 'unknown') return send(ctx, chain, row)
  const { blockNumber, blockHash } = state
  const moved = await move(ctx, row, { type: 'mined' }, { blockNumber, blockHash })
  if (moved) await bury(ctx, chain, moved)
  return 'moved'
}

/** Waits until a mined transaction is as deep as the chain's profile asks, and only then lets it count. */
async function bury(ctx: Context, chain: RelayerChain, row: TransactionRow): Promise<Step> {
  const state = await readTransaction(chain.client, row.txHash as Hex)
  if (state.status === 'unreachable') return 'unreachable'
  if (state.status !== 'mined') {
    const moved = await move(ctx, row, { type: 'reorged' }, { blockNumber: null, blockHash: null })
    return moved ? send(ctx, chain, moved) : 'moved'
  }
  const head = await readHead(chain.client, chain.profile)
  if (head.status === 'unreachable') return 'unreachable'
  if (head.finalBlock < state.blockNumber) return 'waiting'
  const where: Values = { blockNumber: state.blockNumber, blockHash: state.blockHash }
  if (state.outcome === 'reverted') {
    await fail(ctx, row, { ...where, error: 'Reverted' })
    return 'moved'
  }
  const effect = await effectOf(ctx, chain, row)
  if (!effect) return 'unreachable'
  await move(ctx, row, { type: 'finalised' }, where, effect)
  return 'moved'
}

/** @returns null when the chain cannot be asked now */
async function effectOf(ctx: Context, chain: RelayerChain, row: TransactionRow): Promise<Effect | null> {
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
