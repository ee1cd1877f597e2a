import type { Address, Hex } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainProfile } from '../chain/chains.ts'
import type { ChainClient } from '../chain/connect.ts'
import { readHead } from '../chain/readHead.ts'
import { broadcast } from '../transactions/broadcast.ts'
import { readFees } from '../transactions/readFees.ts'
import { readNonces } from '../transactions/readNonces.ts'
import { readTransaction } from '../transactions/readTransaction.ts'
import type { Signer } from '../transactions/signer.ts'
import { type EscrowTerms, escrowDeployment } from './escrowDeployment.ts'
import { simulateCall } from './simulateCall.ts'

/** What came of a deployment. It can be asked for again after any of these: the contract comes to stand once. */
export type EscrowDeployment =
  /** It is final. */
  | { status: 'deployed'; address: Address; txHash: Hex; blockNumber: bigint }
  /** It stood there already; nothing was sent. */
  | { status: 'present'; address: Address }
  /** The CREATE2 factory is not on this chain. Nothing was sent. */
  | { status: 'no_factory'; factory: Address }
  /** The chain or its node would not take it. Nothing was mined. */
  | { status: 'refused'; detail: string }
  /** It was sent, and is not final yet. */
  | { status: 'pending'; txHash: Hex }
  | Unreachable

/** Where and by whom; `pause` is waited for between two looks at a transaction, and ends the waiting by false. */
export type DeploymentPlace = {
  client: ChainClient
  profile: ChainProfile
  signer: Signer
  pause: () => Promise<boolean>
}

/**
 * Deploys the escrow through the CREATE2 factory and waits until it is final. Its address follows from code and terms,
 * so a deployment whose end was not seen is found by the next one.
 *
 * @example
 * const deployment = await deployEscrow({ client, profile: chains.arcTestnet, signer, pause }, terms)
 */
export async function deployEscrow(place: DeploymentPlace, terms: EscrowTerms): Promise<EscrowDeployment> {
  const { client, signer } = place
  const { address, call } = escrowDeployment(terms)
  const standing = await askValue(client.getCode({ address }))
  if (standing.status === 'unreachable') return standing
  if (standing.value !== undefined) return { status: 'present', address }
  const factory = await askValue(client.getCode({ address: call.to }))
  if (factory.status === 'unreachable') return factory
  if (factory.value === undefined) return { status: 'no_factory', factory: call.to }
  const trial = await simulateCall(client, call, signer.address)
  if (trial.status === 'unreachable') return trial
  if (trial.status === 'too_large') return { status: 'refused', detail: `it would take ${trial.gas} gas` }
  if (trial.status !== 'ok') return { status: 'refused', detail: trial.detail }
  const raw = await sign(place, call, trial.gas)
  if (raw.status === 'unreachable') return raw
  const sent = await broadcast(client, raw.bytes)
  if (sent.status === 'underpriced' || sent.status === 'rejected') {
    return { status: 'refused', detail: sent.message }
  }
  return follow(place, address, sent.hash)
}

type Signed = { status: 'signed'; bytes: Hex } | Unreachable

async function sign(
  { client, profile, signer }: DeploymentPlace,
  call: { to: Address; data: Hex },
  gas: bigint,
): Promise<Signed> {
  const fees = await readFees(client, profile)
  if (fees.status === 'unreachable') return fees
  const nonces = await readNonces(client, signer.address)
  if (nonces.status === 'unreachable') return nonces
  const { maxFeePerGas, maxPriorityFeePerGas } = fees
  const chainId = profile.chain.id
  const plan = { chainId, ...call, nonce: nonces.mined, gas, maxFeePerGas, maxPriorityFeePerGas }
  return { status: 'signed', bytes: (await signer.sign(plan)).raw }
}

/** A node that is away for a moment is asked again: the transaction is under way. */
async function follow(
  { client, profile, pause }: DeploymentPlace,
  address: Address,
  txHash: Hex,
): Promise<EscrowDeployment> {
  do {
    const state = await readTransaction(client, txHash)
    if (state.status !== 'mined') continue
    if (state.outcome === 'reverted') return { status: 'refused', detail: `transaction ${txHash} reverted` }
    const head = await readHead(client, profile)
    if (head.status === 'unreachable' || head.finalBlock < state.blockNumber) continue
    return { status: 'deployed', address, txHash, blockNumber: state.blockNumber }
  } while (await pause())
  return { status: 'pending', txHash }
}
