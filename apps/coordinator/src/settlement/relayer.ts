import {
  invariant,
  type TransactionEvent,
  type TransactionStatus,
  transactionTransition,
} from '@orien/protocol'
import {
  broadcast,
  type ChainClient,
  type ChainProfile,
  readFees,
  readHead,
  readNonces,
  readTransaction,
  type Signer,
  simulateCall,
} from '@orien/rails'
import type { Context } from '../context.ts'
import type { Unit } from '../db/executor.ts'
import { databaseFailure, isOutage } from '../db/failure.ts'
import type { Patience } from '../jobs/patience.ts'
import { announce, applyFailure, applySuccess, type ClosedChannel, readClosedChannel } from './effects.ts'
import { moveTransaction, selectHighestNonce, selectOpenTransactions, type TransactionRow } from './store.ts'

/** What the relayer works with: the chain, and the one key that pays gas. */
export type RelayerChain = { client: ChainClient; profile: ChainProfile; signer: Signer }

/** Outcome of looking at one transaction: it moved, it waits, it was refused, or nothing can be learned from the chain now. */
type Step = 'moved' | 'waiting' | 'refused' | 'unreachable'

const BATCH = 200

/**
 * One pass over everything that is not over. Each move is stored before the next thing happens, so a crash at any point
 * resumes with the same bytes: a transaction is signed once, and an unknown outcome is never answered with a new one.
 * One that is refused or breaks is left alone for a while, and holds up no other.
 *
 * @returns whether anything moved; then another pass is worth it
 */
export async function relayOnce(ctx: Context, chain: RelayerChain, patience: Patience): Promise<boolean> {
  let hasMoved = false
  const open = await selectOpenTransactions(ctx.db.read, { except: patience.resting(), limit: BATCH })
  for (const row of open) {
    const step = await advanceSafely(ctx, chain, row)
    if (step === 'unreachable') return false
    if (step === 'refused') patience.failed(row.id)
    else if (step === 'moved') patience.worked(row.id)
    hasMoved ||= step === 'moved'
  }
  return hasMoved
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
    case 'planned':
      return sign(ctx, chain, row)
    case 'signed':
    case 'reorged':
      return send(ctx, chain, row)
    case 'broadcast':
      return follow(ctx, chain, row)
    case 'mined':
      return bury(ctx, chain, row)
    case 'final':
    case 'failed':
      return Promise.resolve('waiting')
  }
}

type Values = Partial<Omit<TransactionRow, 'id' | 'status'>>

async function move(
  ctx: Context,
  row: TransactionRow,
  event: TransactionEvent,
  values: Values = {},
  effect: (unit: Unit, moved: TransactionRow) => Promise<void> = async () => {},
): Promise<Step> {
  const next = transactionTransition(row.status as TransactionStatus, event)
  invariant(next.ok, `a transaction that is ${row.status} cannot be ${event.type}`)
  await ctx.db.write(async (unit) => {
    if (!(await moveTransaction(unit.tx, row, { ...values, status: next.status }))) return
    const moved = { ...row, ...values, status: next.status }
    await announce(ctx, unit, moved)
    await effect(unit, moved)
  })
  return 'moved'
}

async function sign(ctx: Context, chain: RelayerChain, row: TransactionRow): Promise<Step> {
  const { client, profile, signer } = chain
  const call = { to: row.to as `0x${string}`, data: row.data as `0x${string}` }
  const trial = await simulateCall(client, call, signer.address)
  if (trial.status === 'unreachable') return 'unreachable'
  if (trial.status === 'refused') {
    ctx.log.error({
      event: 'settlement.refused',
      transaction: row.id,
      status: 'untried',
      message: trial.detail,
    })
    return 'refused'
  }
  if (trial.status !== 'ok') {
    const error = trial.status === 'reverted' ? trial.error : 'TooMuchGas'
    return move(ctx, row, { type: 'failed' }, { error }, (unit, moved) => applyFailure(ctx, unit, moved))
  }
  const fees = await readFees(client, profile)
  const nonces = await readNonces(client, signer.address)
  if (fees.status === 'unreachable' || nonces.status === 'unreachable') return 'unreachable'
  const highest = await selectHighestNonce(ctx.db.read)
  // Ours to give: what the pool says may have been forgotten by its node.
  const nonce = Math.max(nonces.mined, highest === null ? 0 : Number(highest) + 1)
  const { maxFeePerGas, maxPriorityFeePerGas } = fees
  const signed = await signer.sign({
    chainId: profile.chain.id,
    ...call,
    nonce,
    gas: trial.gas,
    maxFeePerGas,
    maxPriorityFeePerGas,
  })
  const values = { nonce: BigInt(nonce), raw: signed.raw, txHash: signed.hash }
  await move(ctx, row, { type: 'signed' }, values)
  return send(ctx, chain, { ...row, ...values, status: 'signed' })
}

async function send(ctx: Context, chain: RelayerChain, row: TransactionRow): Promise<Step> {
  const sent = await broadcast(chain.client, row.raw as `0x${string}`)
  switch (sent.status) {
    case 'accepted':
    case 'already_known':
    case 'nonce_too_low':
      // A spent nonce is most often our own bytes, mined while the answer was lost: following tells.
      if (row.status === 'broadcast') return 'waiting'
      await move(ctx, row, { type: 'broadcast' }, { attempts: row.attempts + 1 })
      return follow(ctx, chain, { ...row, status: 'broadcast' })
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
  const state = await readTransaction(chain.client, row.txHash as `0x${string}`)
  if (state.status === 'unreachable') return 'unreachable'
  if (state.status === 'pending') return 'waiting'
  if (state.status === 'unknown') return send(ctx, chain, row)
  const { blockNumber, blockHash } = state
  await move(ctx, row, { type: 'mined' }, { blockNumber, blockHash })
  return bury(ctx, chain, { ...row, blockNumber, blockHash, status: 'mined' })
}

/** Waits until a mined transaction is as deep as the chain's profile asks, and only then lets it count. */
async function bury(ctx: Context, chain: RelayerChain, row: TransactionRow): Promise<Step> {
  const state = await readTransaction(chain.client, row.txHash as `0x${string}`)
  if (state.status === 'unreachable') return 'unreachable'
  if (state.status !== 'mined') {
    await move(ctx, row, { type: 'reorged' }, { blockNumber: null, blockHash: null })
    return send(ctx, chain, { ...row, blockNumber: null, blockHash: null, status: 'reorged' })
  }
  const head = await readHead(chain.client, chain.profile)
  if (head.status === 'unreachable') return 'unreachable'
  if (head.finalBlock < state.blockNumber) return 'waiting'
  const where: Values = { blockNumber: state.blockNumber, blockHash: state.blockHash }
  if (state.outcome === 'reverted') {
    const values = { ...where, error: 'Reverted' }
    return move(ctx, row, { type: 'failed' }, values, (unit, moved) => applyFailure(ctx, unit, moved))
  }
  let closed: ClosedChannel | null = null
  if (row.kind === 'close') {
    closed = await readClosedChannel(ctx, chain.client, row)
    if (!closed) return 'unreachable'
  }
  return move(ctx, row, { type: 'finalised' }, where, (unit, moved) => applySuccess(ctx, unit, moved, closed))
}
