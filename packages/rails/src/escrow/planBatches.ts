import type { Address, Hex } from 'viem'
import { CHAIN_LIMITS } from '../chain/limits.ts'
import { channelsOfBatch } from './encodeBatch.ts'

/** What the plan has to know of a claim; it gives back whatever else the caller keeps in it. */
export type BatchCandidate = { payee: Address; payer: Address }

/** One transaction: its providers, each with the claims that it is asked to sign as one batch. */
export type BatchPlan<Candidate extends BatchCandidate> = {
  groups: { payee: Address; claims: Candidate[] }[]
  /** An upper bound, see {@link BATCH_COSTS}. */
  gas: bigint
  /** Of the call's data, exactly. */
  calldataBytes: number
}

/** What one transaction may take. */
export type BatchLimits = { gas: bigint; calldataBytes: number }

/**
 * Gas that a batch takes at most on a token like USDC. The worst case is not the blocklisted receiver but the paused
 * token: every payment becomes a new credit. Planned for less, a batch that meets a pause would be over the cap and
 * stay so. `contract/batchLimits.test.ts` measures it; what a claim usually costs is a good half of it.
 */
export const BATCH_COSTS = {
  /** The transaction itself, the platform's and the reserve's payment, and what the last payment must find left. */
  transactionGas: 400_000n,
  /** Signature, look-ups and payment of one provider. */
  providerGas: 68_000n,
  /** Voucher, record, events and refund of one channel. */
  claimGas: 62_000n,
} as const

/** The cap of EIP-7825, and the 128 KiB that geth's pool takes of a transaction, less its envelope. */
export const BATCH_LIMITS: BatchLimits = {
  gas: CHAIN_LIMITS.transactionGas,
  calldataBytes: 131_072 - 1_024,
}

/** ABI encoding of the call: words of 32 bytes. */
const CALL_BYTES = { transaction: 4 + 2 * 32, provider: 7 * 32, claim: 5 * 32 } as const

/**
 * What an encoded batch takes at most; undefined for another call, and for one that may take more than a transaction
 * may.
 */
export function mostGasOf(data: Hex): bigint | undefined {
  const claimsOf = channelsOfBatch(data).map((channels) => BigInt(channels.length))
  const providersGas = claimsOf.map((claims) => BATCH_COSTS.providerGas + BATCH_COSTS.claimGas * claims)
  const gas = providersGas.reduce((sum, each) => sum + each, BATCH_COSTS.transactionGas as bigint)
  return claimsOf.length > 0 && gas <= BATCH_LIMITS.gas ? gas : undefined
}

/**
 * Cuts claims into transactions below gas and calldata limits. A provider's claims stay together in one transaction, and
 * so under one signature, unless they alone are too many for it; channels of one payer stand side by side, because
 * neighbours are refunded by one transfer. Pure: the same claims give the same plans, the oldest first.
 *
 * @param limits at least one claim must fit
 * @example
 * for (const plan of planBatches(claims)) for (const { payee, claims } of plan.groups) ask(payee, claims)
 */
export function planBatches<Candidate extends BatchCandidate>(
  candidates: readonly Candidate[],
  limits: BatchLimits = BATCH_LIMITS,
): BatchPlan<Candidate>[] {
  const plans: BatchPlan<Candidate>[] = []
  for (const [payee, claims] of byPayee(candidates)) {
    const rest = sideBySide(claims)
    while (rest.length > 0) {
      const current = plans.at(-1)
      const alone = roomFor(emptyPlan(), limits)
      const room = current === undefined ? 0 : roomFor(current, limits)
      const fitsHere = room >= Math.min(rest.length, alone)
      const plan = fitsHere && current !== undefined ? current : emptyPlan<Candidate>()
      if (plan !== current) plans.push(plan)
      add(plan, payee, rest.splice(0, Math.max(1, Math.min(rest.length, fitsHere ? room : alone))))
    }
  }
  return plans
}

function emptyPlan<Candidate extends BatchCandidate>(): BatchPlan<Candidate> {
  return { groups: [], gas: BATCH_COSTS.transactionGas, calldataBytes: CALL_BYTES.transaction }
}

/** How many claims of one more provider fit. */
function roomFor(
  { gas, calldataBytes }: Omit<BatchPlan<BatchCandidate>, 'groups'>,
  limits: BatchLimits,
): number {
  const byGas = (limits.gas - gas - BATCH_COSTS.providerGas) / BATCH_COSTS.claimGas
  const bytesLeft = limits.calldataBytes - calldataBytes - CALL_BYTES.provider
  return Math.max(0, Math.min(Number(byGas), Math.floor(bytesLeft / CALL_BYTES.claim)))
}

function add<Candidate extends BatchCandidate>(
  plan: BatchPlan<Candidate>,
  payee: Address,
  claims: Candidate[],
): void {
  plan.groups.push({ payee, claims })
  plan.gas += BATCH_COSTS.providerGas + BATCH_COSTS.claimGas * BigInt(claims.length)
  plan.calldataBytes += CALL_BYTES.provider + CALL_BYTES.claim * claims.length
}

function byPayee<Candidate extends BatchCandidate>(
  candidates: readonly Candidate[],
): Map<Address, Candidate[]> {
  const groups = new Map<Address, Candidate[]>()
  for (const candidate of candidates) {
    const key = candidate.payee.toLowerCase() as Address
    const group = groups.get(key)
    if (group) group.push(candidate)
    else groups.set(key, [candidate])
  }
  return groups
}

function sideBySide<Candidate extends BatchCandidate>(claims: readonly Candidate[]): Candidate[] {
  const payers = new Map<string, Candidate[]>()
  for (const claim of claims) {
    const key = claim.payer.toLowerCase()
    payers.set(key, [...(payers.get(key) ?? []), claim])
  }
  return [...payers.values()].flat()
}
