import { orienEscrowAbi } from '@orien/contracts'
import type { BatchKind } from '@orien/protocol'
import {
  type Address,
  decodeFunctionResult,
  type Hex,
  type Log,
  parseEventLogs,
  toFunctionSelector,
} from 'viem'
import { ask, askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'
import type { ContractCall } from './contractCall.ts'
import { encodeBatch, type SignedBatch } from './encodeBatch.ts'
import { type CallError, type Simulation, simulateCall } from './simulateCall.ts'

/** What would come of a batch if it were sent now. */
export type BatchSimulation =
  /** `refusals` in the order of the batches and their claims: null for a claim that would be paid. */
  { status: 'ok'; gas: bigint; refusals: (CallError | null)[][] } | Exclude<Simulation, { status: 'ok' }>

/** Tries a batch without sending it, so that refused claims can be taken out before they cost gas. */
export async function simulateBatch(
  client: ChainClient,
  escrow: Address,
  kind: BatchKind,
  batches: readonly SignedBatch[],
  from: Address,
): Promise<BatchSimulation> {
  const trial = await simulateBatchCall(client, encodeBatch(escrow, kind, batches), from)
  if (trial.status !== 'ok') return trial
  const counts = batches.map(({ terms }) => terms.claims.length)
  const refusals = counts.map((count, index) => {
    const start = counts.slice(0, index).reduce((sum, each) => sum + each, 0)
    return trial.refusals.slice(start, start + count)
  })
  return { status: 'ok', gas: trial.gas, refusals }
}

type CallTrial =
  | { status: 'ok'; gas: bigint; refusals: (CallError | null)[] }
  | Exclude<Simulation, { status: 'ok' }>

/**
 * The same of a batch that is encoded already, or of `tryAll`: one answer a claim or call, in their order.
 *
 * @param mostGas to try it with. A node finds an estimate by running the call again and again; a batch that works with the
 *   most that it can take needs none
 */
export async function simulateBatchCall(
  client: ChainClient,
  call: ContractCall,
  from: Address,
  mostGas?: bigint,
): Promise<CallTrial> {
  if (mostGas !== undefined) {
    const trial = await tryCall(client, call, { from, gas: mostGas })
    // What it fails of, the estimate says.
    if (trial.status === 'ok' || trial.status === 'unreachable') return trial
  }
  const simulation = await simulateCall(client, call, from)
  return simulation.status === 'ok' ? tryCall(client, call, { from, gas: simulation.gas }) : simulation
}

async function tryCall(
  client: ChainClient,
  call: ContractCall,
  { from, gas }: { from: Address; gas: bigint },
): Promise<CallTrial> {
  const answer = await ask(client.call({ account: from, ...call, gas }))
  if (answer.status === 'unreachable') return answer
  if (answer.status === 'refused')
    return answer.isRevert
      ? { status: 'reverted', error: 'Unknown', detail: answer.message }
      : { status: 'refused', detail: answer.message }
  return { status: 'ok', gas, refusals: decodeRefusals(answer.value.data ?? '0x') }
}

function decodeRefusals(data: Hex): (CallError | null)[] {
  // All three answer alike.
  const functionName = 'closeBatch'
  const selectors = decodeFunctionResult({ abi: orienEscrowAbi, functionName, data })
  return selectors.map((selector) => (selector === '0x00000000' ? null : errorOf(selector)))
}

const errorNames = new Map(
  orienEscrowAbi.flatMap((item) =>
    item.type === 'error'
      ? [
          [
            toFunctionSelector(`function ${item.name}(${item.inputs.map(({ type }) => type).join(',')})`),
            item.name,
          ],
        ]
      : [],
  ),
) as ReadonlyMap<string, CallError>

/** The escrow's error with this selector. */
function errorOf(selector: Hex): CallError {
  return errorNames.get(selector) ?? 'Unknown'
}

/** What a mined batch did, as its events tell it. Amounts are micro-USDC. */
export type BatchOutcome = {
  paid: {
    channelId: Hex
    cumulativeMicros: bigint
    payeeMicros: bigint
    platformMicros: bigint
    reserveMicros: bigint
  }[]
  closed: { channelId: Hex; settledMicros: bigint; refundMicros: bigint }[]
  refused: { channelId: Hex; error: CallError }[]
  /** Providers whose whole batch was left out. */
  refusedProviders: { payee: Address; error: CallError }[]
  /** Payments that the token refused: they wait for their accounts. */
  credited: { account: Address; micros: bigint }[]
}

/** Reads the logs of a batch's transaction; those of other contracts are ignored. */
export function readBatchLogs(escrow: Address, logs: readonly Log[]): BatchOutcome {
  const ours = logs.filter(({ address }) => address.toLowerCase() === escrow.toLowerCase())
  const events = parseEventLogs({ abi: orienEscrowAbi, logs: ours, strict: true })
  const outcome: BatchOutcome = { paid: [], closed: [], refused: [], refusedProviders: [], credited: [] }
  for (const { eventName, args } of events) {
    if (eventName === 'ChannelSettled') {
      const { channelId, cumulativeAmount, payeeAmount, platformAmount, reserveAmount } = args
      const shares = {
        payeeMicros: payeeAmount,
        platformMicros: platformAmount,
        reserveMicros: reserveAmount,
      }
      outcome.paid.push({ channelId, cumulativeMicros: cumulativeAmount, ...shares })
    }
    if (eventName === 'ChannelClosed') {
      const { channelId, settled, refund } = args
      outcome.closed.push({ channelId, settledMicros: settled, refundMicros: refund })
    }
    if (eventName === 'ClaimRefused') {
      outcome.refused.push({ channelId: args.channelId, error: errorOf(args.reason) })
    }
    if (eventName === 'BatchRefused') {
      outcome.refusedProviders.push({ payee: args.payee, error: errorOf(args.reason) })
    }
    if (eventName === 'Credited') outcome.credited.push({ account: args.account, micros: args.amount })
  }
  return outcome
}

/** Reads what a mined batch did from the logs of its receipt. */
export async function readBatchOutcome(
  client: ChainClient,
  escrow: Address,
  txHash: Hex,
): Promise<{ status: 'read'; outcome: BatchOutcome } | Unreachable> {
  const receipt = await askValue(client.getTransactionReceipt({ hash: txHash }))
  if (receipt.status === 'unreachable') return receipt
  return { status: 'read', outcome: readBatchLogs(escrow, receipt.value.logs) }
}
