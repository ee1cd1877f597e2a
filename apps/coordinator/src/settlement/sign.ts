import {
  type CallError,
  type ChainClient,
  type ChainProfile,
  readFees,
  readNonces,
  type Signer,
  simulateBatchCall,
  simulateCall,
} from '@orien/rails'
import type { Context } from '../context.ts'
import { atOnce } from '../jobs/atOnce.ts'
import { applyFailure } from './effects.ts'
import { move } from './move.ts'
import { dropBatch } from './settle.ts'
import { selectHighestNonce, type TransactionRow } from './store.ts'

/** What the relayer works with: the chain, and the one key that pays gas. */
export type RelayerChain = { client: ChainClient; profile: ChainProfile; signer: Signer }

/** Outcome of looking at one transaction: it moved, it waits, it was refused, or nothing can be learned from the chain now. */
export type Step = 'moved' | 'waiting' | 'refused' | 'unreachable'

/** Requests to the chain at a time. */
export const RPC_WIDTH = 8

type Trial =
  | { status: 'ok'; gas: bigint }
  | { status: 'failed'; error: string }
  | { status: 'refused'; detail: string }
  | { status: 'unreachable'; detail: string }

/** Signs what is planned, in its order, with nonces that follow one another: all of it may be under way at once. */
export async function signPlanned(
  ctx: Context,
  chain: RelayerChain,
  planned: readonly TransactionRow[],
): Promise<{ row: TransactionRow; step: Step }[]> {
  if (planned.length === 0) return []
  const tried = await atOnce(RPC_WIDTH, planned, async (row) => ({ row, trial: await tryOut(chain, row) }))
  const fees = await readFees(chain.client, chain.profile)
  const nonces = await readNonces(chain.client, chain.signer.address)
  const highest = await selectHighestNonce(ctx.db.read)
  const isReachable = fees.status === 'read' && nonces.status === 'read'
  // Ours to give: what the pool says may have been forgotten by its node.
  let nonce = isReachable ? Math.max(nonces.mined, highest === null ? 0 : Number(highest) + 1) : 0
  const results: { row: TransactionRow; step: Step }[] = []
  for (const { row, trial } of tried) {
    if (trial.status !== 'ok') {
      results.push({ row, step: await giveUp(ctx, row, trial) })
    } else if (!isReachable) {
      results.push({ row, step: 'unreachable' })
    } else {
      const signed = await sign(ctx, chain, row, { ...fees, nonce, gas: trial.gas })
      results.push({ row: signed ?? row, step: signed ? 'moved' : 'waiting' })
      // One that somebody else has moved used up no nonce: a gap would hold up everything after it.
      if (signed) nonce += 1
    }
  }
  return results
}

async function sign(
  ctx: Context,
  { profile, signer }: RelayerChain,
  row: TransactionRow,
  price: { nonce: number; gas: bigint; maxFeePerGas: bigint; maxPriorityFeePerGas: bigint },
): Promise<TransactionRow | null> {
  const { nonce, gas, maxFeePerGas, maxPriorityFeePerGas } = price
  const call = { to: row.to as `0x${string}`, data: row.data as `0x${string}` }
  const fees = { maxFeePerGas, maxPriorityFeePerGas }
  const { raw, hash } = await signer.sign({ chainId: profile.chain.id, ...call, nonce, gas, ...fees })
  return move(ctx, row, { type: 'signed' }, { nonce: BigInt(nonce), raw, txHash: hash })
}

/** Runs it without sending it: what would fail costs no gas. */
async function tryOut({ client, signer }: RelayerChain, row: TransactionRow): Promise<Trial> {
  const call = { to: row.to as `0x${string}`, data: row.data as `0x${string}` }
  const trial =
    row.kind === 'close_batch'
      ? await simulateBatchCall(client, 'CloseBatch', call, signer.address)
      : { refusals: [], ...(await simulateCall(client, call, signer.address)) }
  switch (trial.status) {
    case 'ok': {
      const useless = uselessBecause(trial.refusals)
      return useless ? { status: 'failed', error: useless } : { status: 'ok', gas: trial.gas }
    }
    case 'reverted':
      return { status: 'failed', error: trial.error }
    case 'too_large':
      return { status: 'failed', error: 'TooMuchGas' }
    case 'refused':
    case 'unreachable':
      return trial
  }
}

/** A batch of which everything would be left out succeeds, does nothing and costs gas. */
function uselessBecause(refusals: readonly (CallError | null)[]): string | null {
  const [first] = refusals
  return first && refusals.every((refusal) => refusal !== null) ? first : null
}

async function giveUp(
  ctx: Context,
  row: TransactionRow,
  trial: Exclude<Trial, { status: 'ok' }>,
): Promise<Step> {
  if (trial.status === 'failed') {
    await fail(ctx, row, { error: trial.error })
    return 'moved'
  }
  if (trial.status === 'unreachable') return 'unreachable'
  const { id: transaction } = row
  ctx.log.error({ event: 'settlement.refused', transaction, status: 'untried', message: trial.detail })
  return 'refused'
}

/** Ends a transaction that will never do anything, with what follows from that. */
export async function fail(
  ctx: Context,
  row: TransactionRow,
  values: Parameters<typeof move>[3],
): Promise<void> {
  await move(ctx, row, { type: 'failed' }, values, (unit, moved) =>
    row.kind === 'close_batch' ? dropBatch(ctx, unit, moved) : applyFailure(ctx, unit, moved),
  )
}
