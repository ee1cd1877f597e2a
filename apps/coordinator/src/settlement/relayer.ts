import type { Hex, TransactionStatus } from '@orien/protocol'
import { broadcast } from '@orien/rails'
import type { Context } from '../context.ts'
import { databaseFailure, isOutage } from '../db/failure.ts'
import { atOnce } from '../jobs/atOnce.ts'
import type { Patience } from '../jobs/patience.ts'
import { selectVariants } from '../relayer/store.ts'
import { bury } from './bury.ts'
import { resolveTaken } from './displaced.ts'
import { move } from './move.ts'
import { gatherOpenings } from './openBatch.ts'
import { type RelayerChain, RPC_WIDTH, type Step } from './relayerChain.ts'
import { findVariant, isDue, replace, type Sent } from './replace.ts'
import { openSight, type Sight } from './sight.ts'
import { signPlanned } from './sign.ts'
import { selectOpenTransactions, type TransactionRow } from './store.ts'

const BATCH = 200

/** What one pass works with. */
type Pass = { ctx: Context; chain: RelayerChain; sight: Sight }

/**
 * One pass over everything that is not over. Each move is stored before the next thing happens, so a crash at any point
 * resumes with the same bytes: what is signed for a nonce is one action, whatever fees its variants offer, and an unknown
 * outcome is never answered with a new one. One that is refused or breaks is left alone for a while, and holds up no other.
 *
 * @returns whether anything moved; then another pass is worth it
 */
export async function relayOnce(ctx: Context, chain: RelayerChain, patience: Patience): Promise<boolean> {
  const pass = { ctx, chain, sight: openSight(chain) }
  const open = await selectOpenTransactions(ctx.db.read, { except: patience.resting(), limit: BATCH })
  const waiting = open.filter((row) => row.status === 'planned')
  const planned = await gatherOpenings(ctx, chain, waiting)
  const signed = await signPlanned(ctx, chain, pass.sight, planned)
  const underWay = [...open.filter((row) => row.status !== 'planned'), ...signed.map(({ row }) => row)]
  const stepOf = new Map(signed.map(({ row, step }) => [row.id, step]))
  const sent = underWay.filter(({ raw }) => raw !== null).map(({ id }) => id)
  const variants = await selectVariants(ctx.db.read, sent)
  const steps = await atOnce(RPC_WIDTH, underWay, async (row) => {
    const before = stepOf.get(row.id)
    const one = { row, variants: variants.get(row.id) ?? [] }
    const step = row.status === 'planned' ? before : await advanceSafely(pass, one)
    if (step === 'refused') patience.failed(row.id)
    else if (step === 'moved') patience.worked(row.id)
    return before === 'moved' && step === 'waiting' ? 'moved' : step
  })
  return steps.includes('moved') && !steps.includes('unreachable')
}

/** What is wrong with one transaction is told and is its own; what is wrong with the database ends the pass. */
async function advanceSafely(pass: Pass, sent: Sent): Promise<Step> {
  try {
    return await advance(pass, sent)
  } catch (err) {
    if (isOutage(databaseFailure(err, 'unknown'))) throw err
    const { id: transaction, kind, status, sessionId } = sent.row
    pass.ctx.log.error({ event: 'settlement.broken', transaction, kind, status, sessionId, err })
    return 'refused'
  }
}

function advance(pass: Pass, sent: Sent): Promise<Step> {
  switch (sent.row.status as TransactionStatus) {
    case 'signed':
    case 'reorged':
      return send(pass, sent)
    case 'broadcast':
      return follow(pass, sent)
    case 'mined':
      return settleDown(pass, sent)
    case 'planned':
    case 'final':
    case 'failed':
      return Promise.resolve('waiting')
  }
}

async function send(pass: Pass, sent: Sent): Promise<Step> {
  const { ctx, chain, sight } = pass
  const { row } = sent
  const answer = await broadcast(chain.client, row.raw as Hex)
  switch (answer.status) {
    case 'accepted':
    case 'already_known':
      return underWay(pass, sent)
    case 'nonce_too_low':
      // A spent nonce is most often our own bytes, mined while the answer was lost: following tells.
      return row.status === 'broadcast' ? resolveTaken(ctx, chain, sight, sent) : underWay(pass, sent)
    case 'underpriced': {
      // Another variant may be in the pool already, and offer more; else the base fee has risen.
      const found = await findVariant(chain, sent)
      if (found.status === 'unreachable') return 'unreachable'
      if (found.status !== 'unknown') return underWay(pass, sent)
      const step = await replace(ctx, chain, sight, sent)
      return step === 'capped' ? 'refused' : step
    }
    case 'unreachable':
      return 'unreachable'
    case 'rejected': {
      const { status, message } = answer
      ctx.log.error({ event: 'settlement.refused', transaction: row.id, status, message })
      return 'refused'
    }
  }
}

/** The chain's node has it. */
async function underWay(pass: Pass, sent: Sent): Promise<Step> {
  const { row } = sent
  if (row.status === 'broadcast') return 'waiting'
  const moved = await move(pass.ctx, row, { type: 'broadcast' }, { attempts: row.attempts + 1 })
  if (moved) await follow(pass, { ...sent, row: moved })
  return 'moved'
}

async function follow(pass: Pass, sent: Sent): Promise<Step> {
  const { ctx, chain, sight } = pass
  const found = await findVariant(chain, sent)
  if (found.status === 'unreachable') return 'unreachable'
  if (found.status !== 'mined') {
    const step = (await isDue(chain, sight, sent)) ? await replace(ctx, chain, sight, sent) : 'capped'
    if (step !== 'capped') return step
    return found.status === 'unknown' ? send(pass, sent) : 'waiting'
  }
  const { txHash, blockNumber, blockHash } = found
  const values = { txHash, blockNumber, blockHash, stuckAt: null }
  const moved = await move(ctx, sent.row, { type: 'mined' }, values)
  if (moved) await settleDown(pass, { ...sent, row: moved })
  return 'moved'
}

/** Waits until a mined transaction is as deep as the chain's profile asks; one that is not there any more is sent again. */
async function settleDown(pass: Pass, sent: Sent): Promise<Step> {
  const { ctx, chain, sight } = pass
  const step = await bury(ctx, chain, sight, sent.row)
  if (step !== 'gone') return step
  const txHash = sent.variants[0]?.txHash ?? sent.row.txHash
  const values = { txHash, blockNumber: null, blockHash: null }
  const moved: TransactionRow | null = await move(ctx, sent.row, { type: 'reorged' }, values)
  return moved ? send(pass, { ...sent, row: moved }) : 'moved'
}
