import type { Hex } from '@orien/protocol'
import {
  broadcast,
  priceOf,
  raiseFees,
  readTransaction,
  signReplacement,
  type TransactionState,
} from '@orien/rails'
import type { Context } from '../context.ts'
import { insertVariant, markStuck, type Variant } from '../relayer/store.ts'
import { move } from './move.ts'
import type { RelayerChain, Step } from './relayerChain.ts'
import type { Sight } from './sight.ts'
import type { TransactionRow } from './store.ts'

/** An action under way, with all signatures under it. */
export type Sent = { row: TransactionRow; variants: readonly Variant[] }

/** Which of the variants a chain has taken, or what its node knows of the newest one that it has. */
export type Found =
  | (Extract<TransactionState, { status: 'mined' }> & { txHash: string })
  | { status: 'pending' | 'unknown' | 'unreachable' }

/** Looks for every variant, the newest first: any of them may be mined, whatever was sent since. */
export async function findVariant(
  { client }: Pick<RelayerChain, 'client'>,
  { row, variants }: Sent,
): Promise<Found> {
  const hashes = new Set([row.txHash, ...variants.map(({ txHash }) => txHash)])
  let status: 'pending' | 'unknown' | 'unreachable' = 'unknown'
  for (const txHash of hashes) {
    if (txHash === null) continue
    const state = await readTransaction(client, txHash as Hex)
    if (state.status === 'mined') return { ...state, txHash }
    // Where one of them could not be asked for, nothing is known of all.
    if (state.status === 'unreachable') status = 'unreachable'
    else if (state.status === 'pending' && status === 'unknown') status = 'pending'
  }
  return { status }
}

/**
 * Whether a waiting transaction should offer more: it has waited for long, and either cannot be mined at this base fee or
 * was passed over although nothing of ours is before it. A chain that makes no blocks is not helped by fees.
 */
export async function isDue(
  { profile }: RelayerChain,
  sight: Sight,
  { row, variants }: Sent,
): Promise<boolean> {
  const [newest] = variants
  if (!newest || newest.ageMs < profile.replaceAfter.ms) return false
  const [head, nonces] = await Promise.all([sight.head(), sight.nonces()])
  if (head.status === 'unreachable' || nonces.status === 'unreachable') return false
  const nonce = Number(row.nonce)
  // Spent already: by one of ours, which is about to be seen, or by somebody else, who is not outbid any more.
  if (nonces.mined > nonce) return false
  if (priceOf(row.raw as Hex).maxFeePerGas < head.baseFeeWei) return true
  const isPassedOver = head.latestBlock >= (newest.signedBlock ?? 0n) + profile.replaceAfter.blocks
  return isPassedOver && nonces.mined === nonce
}

/**
 * Signs the same action for more, stores it, and sends it. Nothing else ever takes this nonce.
 *
 * @returns `capped` when no more may be offered: the transaction stays as it is, and somebody is told
 */
export async function replace(
  ctx: Context,
  chain: RelayerChain,
  sight: Sight,
  { row }: Pick<Sent, 'row'>,
): Promise<Step | 'capped'> {
  const { id: transaction, kind } = row
  const nonce = `${row.nonce}`
  const [market, head] = await Promise.all([sight.market(), sight.head()])
  if (market.status === 'unreachable' || head.status === 'unreachable') return 'unreachable'
  const { feeCapWei } = chain.profile
  const raised = raiseFees(priceOf(row.raw as Hex), market, feeCapWei)
  if (!raised) {
    if (await markStuck(ctx.db.read, transaction))
      ctx.log.error({
        ...{ event: 'settlement.stuck', cause: 'fee_cap', transaction, kind, nonce },
        feeCapWei: `${feeCapWei}`,
      })
    return 'capped'
  }
  const { raw, hash } = await signReplacement(chain.signer, row.raw as Hex, raised)
  const variant = { txHash: hash, transactionId: transaction, raw, signedBlock: head.latestBlock }
  const moved = await move(ctx, row, { type: 'replaced' }, { raw, txHash: hash, stuckAt: null }, (unit) =>
    insertVariant(unit.tx, variant),
  )
  if (!moved) return 'waiting'
  ctx.metrics.replacements.inc()
  const maxFeeWei = `${raised.maxFeePerGas}`
  ctx.log.warn({ event: 'settlement.replaced', transaction, kind, nonce, txHash: hash, maxFeeWei })
  const sent = await broadcast(chain.client, raw)
  // What the node makes of it is read from the chain at the next look; one that is still too low rests before that.
  return sent.status === 'underpriced' || sent.status === 'rejected' ? 'refused' : 'moved'
}
