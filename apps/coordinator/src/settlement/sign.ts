import {
  type CallError,
  channelsOfBatch,
  type GasPrice,
  mostGasOf,
  readFees,
  simulateBatchCall,
  simulateCall,
} from '@orien/rails'
import type { Context } from '../context.ts'
import { atOnce } from '../jobs/atOnce.ts'
import { insertVariant } from '../relayer/store.ts'
import { fail, type Place, type Refusals } from './fail.ts'
import { move } from './move.ts'
import { type RelayerChain, RPC_WIDTH, type Step } from './relayerChain.ts'
import type { Sight } from './sight.ts'
import { selectHighestNonce, type TransactionRow } from './store.ts'

type Trial =
  | { status: 'ok'; gas: bigint }
  | { status: 'failed'; error: string; refusals?: Refusals }
  | { status: 'refused'; detail: string }
  | { status: 'unreachable'; detail: string }

/** Signs what is planned, in its order, with nonces that follow one another: all of it may be under way at once. */
export async function signPlanned(
  ctx: Context,
  chain: RelayerChain,
  sight: Sight,
  planned: readonly TransactionRow[],
): Promise<{ row: TransactionRow; step: Step }[]> {
  if (planned.length === 0) return []
  const tried = await atOnce(RPC_WIDTH, planned, async (row) => ({ row, trial: await tryOut(chain, row) }))
  const [fees, nonces, head, highest] = await Promise.all([
    readFees(chain.client, chain.profile),
    sight.nonces(),
    sight.head(),
    selectHighestNonce(ctx.db.read),
  ])
  const isReachable = fees.status === 'read' && nonces.status === 'read' && head.status === 'read'
  // Ours to give: what the pool says may have been forgotten by its node.
  let nonce = isReachable ? Math.max(nonces.mined, highest === null ? 0 : Number(highest) + 1) : 0
  const results: { row: TransactionRow; step: Step }[] = []
  for (const { row, trial } of tried) {
    if (trial.status !== 'ok') {
      results.push({ row, step: await giveUp(ctx, { chain, sight }, row, trial) })
    } else if (!isReachable) {
      results.push({ row, step: 'unreachable' })
    } else {
      const plan = { ...fees, nonce, gas: trial.gas, signedBlock: head.latestBlock }
      const signed = await sign(ctx, chain, row, plan)
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
  plan: GasPrice & { nonce: number; gas: bigint; signedBlock: bigint },
): Promise<TransactionRow | null> {
  const { nonce, gas, signedBlock, maxFeePerGas, maxPriorityFeePerGas } = plan
  const call = { to: row.to as `0x${string}`, data: row.data as `0x${string}` }
  const fees = { maxFeePerGas, maxPriorityFeePerGas }
  const { raw, hash } = await signer.sign({ chainId: profile.chain.id, ...call, nonce, gas, ...fees })
  const values = { nonce: BigInt(nonce), raw, txHash: hash }
  return move(ctx, row, { type: 'signed' }, values, (unit) =>
    insertVariant(unit.tx, { txHash: hash, transactionId: row.id, raw, signedBlock }),
  )
}

/** Runs it without sending it: what would fail costs no gas. */
async function tryOut({ client, signer }: RelayerChain, row: TransactionRow): Promise<Trial> {
  const call = { to: row.to as `0x${string}`, data: row.data as `0x${string}` }
  const trial =
    row.kind === 'close_batch' || row.kind === 'open_batch'
      ? await simulateBatchCall(client, call, signer.address, mostGasOf(call.data))
      : { refusals: [], ...(await simulateCall(client, call, signer.address)) }
  switch (trial.status) {
    case 'ok':
      return uselessBecause(trial.refusals, call.data) ?? { status: 'ok', gas: trial.gas }
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
function uselessBecause(answers: readonly (CallError | null)[], data: `0x${string}`): Trial | null {
  const [first] = answers
  if (!first || answers.some((answer) => answer === null)) return null
  const channels = channelsOfBatch(data).flat()
  const refusals = new Map(channels.map((channel, index) => [channel as string, answers[index] ?? first]))
  return { status: 'failed', error: first, refusals }
}

async function giveUp(
  ctx: Context,
  place: Place,
  row: TransactionRow,
  trial: Exclude<Trial, { status: 'ok' }>,
): Promise<Step> {
  if (trial.status === 'failed') {
    return fail(ctx, place, row, { error: trial.error }, trial.refusals)
  }
  if (trial.status === 'unreachable') return 'unreachable'
  const { id: transaction } = row
  ctx.log.error({ event: 'settlement.refused', transaction, status: 'untried', message: trial.detail })
  return 'refused'
}
