import type { Hex } from 'viem'
import { ask, type Unreachable } from '../chain/ask.ts'
import type { ChainProfile } from '../chain/chains.ts'
import type { ChainClient } from '../chain/connect.ts'
import { CHAIN_LIMITS } from '../chain/limits.ts'
import { readGasBalance } from '../chain/readGas.ts'
import type { ContractCall } from '../escrow/contractCall.ts'
import { type CallError, simulateCall } from '../escrow/simulateCall.ts'
import { broadcast } from './broadcast.ts'
import { readFees } from './readFees.ts'
import { readNonces } from './readNonces.ts'
import type { Signer } from './signer.ts'

/** What came of one call that was to be sent. Fees in wei. */
export type Sent =
  | { status: 'mined'; hash: Hex; blockNumber: bigint }
  /** It would revert, or did when others came first: `hash` is null when nothing was sent. */
  | { status: 'reverted'; error: CallError; detail: string; hash: Hex | null }
  /** The sender cannot pay the gas; nothing was sent. */
  | { status: 'no_gas'; neededWei: bigint; heldWei: bigint }
  | { status: 'rejected'; detail: string }
  /** Sent, and not mined in time. The same call again takes the same nonce, so it cannot happen twice. */
  | { status: 'waiting'; hash: Hex }
  | Unreachable

/**
 * Sends one call and waits until it is mined: for whoever acts alone and keeps no outbox. The call has to be harmless
 * when repeated, as closes, claims and withdrawals are.
 *
 * @example
 * const sent = await sendCall(client, chains.local, signer, encodeWithdraw(escrow, channelId))
 */
export async function sendCall(
  client: ChainClient,
  profile: ChainProfile,
  signer: Signer,
  call: ContractCall,
): Promise<Sent> {
  const trial = await simulateCall(client, call, signer.address)
  if (trial.status === 'unreachable') return trial
  if (trial.status === 'reverted') return { ...trial, hash: null }
  if (trial.status === 'refused') return emptyOr(await readGasBalance(client, signer.address), trial.detail)
  if (trial.status === 'too_large') return { status: 'rejected', detail: 'it takes more gas than allowed' }
  const fees = await readFees(client, profile)
  if (fees.status === 'unreachable') return fees
  const { maxFeePerGas, maxPriorityFeePerGas } = fees
  const held = await readGasBalance(client, signer.address)
  if (held.status === 'unreachable') return held
  const neededWei = trial.gas * maxFeePerGas
  if (held.wei < neededWei) return { status: 'no_gas', neededWei, heldWei: held.wei }
  const nonces = await readNonces(client, signer.address)
  if (nonces.status === 'unreachable') return nonces
  const plan = { chainId: profile.chain.id, ...call, nonce: nonces.mined, gas: trial.gas }
  const { raw } = await signer.sign({ ...plan, maxFeePerGas, maxPriorityFeePerGas })
  const sent = await broadcast(client, raw)
  if (sent.status === 'rejected') return { status: 'rejected', detail: sent.message }
  return awaitMined(client, sent.hash)
}

/** Nodes refuse to try a call whose sender has nothing to pay with. */
function emptyOr(held: Awaited<ReturnType<typeof readGasBalance>>, detail: string): Sent {
  if (held.status === 'unreachable') return held
  if (held.wei === 0n) return { status: 'no_gas', neededWei: 0n, heldWei: 0n }
  return { status: 'rejected', detail }
}

async function awaitMined(client: ChainClient, hash: Hex): Promise<Sent> {
  const { minedMs: timeout, minedPollMs: pollingInterval } = CHAIN_LIMITS
  const answer = await ask(client.waitForTransactionReceipt({ hash, timeout, pollingInterval }))
  if (answer.status === 'unreachable') return answer
  // What is no answer of the chain here is the end of the wait.
  if (answer.status === 'refused') return { status: 'waiting', hash }
  const { status, blockNumber } = answer.value
  if (status === 'success') return { status: 'mined', hash, blockNumber }
  return { status: 'reverted', error: 'Unknown', detail: 'Others came first', hash }
}
