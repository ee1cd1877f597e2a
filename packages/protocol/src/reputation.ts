import { z } from 'zod'
import { failureReason } from './execution.ts'
import { micros, type UsdcMicros, usdcMicros } from './money.ts'
import { splitCumulative } from './split.ts'

/** Days that reputation looks back. */
export const REPUTATION_DAYS = 90
/** Days that uptime looks back. */
export const UPTIME_DAYS = 30

/**
 * Weight that every provider starts with, at a reliability of one half, micro-USDC of fees: so much has to be paid
 * before good work counts for more than nothing being known.
 */
export const REPUTATION_PRIOR_MICROS = 1_000_000n
/** What one payer can add at most, micro-USDC of fees: nobody vouches alone. */
export const REPUTATION_PAYER_CAP_MICROS = 5_000_000n

/** What a provider's own failures are called; a tool that fails is the agent's business. */
export const PROVIDER_FAULTS = ['lost', 'sandbox_error'] as const

/**
 * The part of an amount that neither payer nor provider gets back: the platform's share and the reserve's.
 *
 * @example feeOf(micros(1_000n)) === 100n
 */
export function feeOf(amountMicros: UsdcMicros): bigint {
  return amountMicros - splitCumulative(amountMicros).providerMicros
}

/** What is known of one payer's dealings with a provider, micro-USDC of fees. */
export type PayerRecord = {
  /** Paid with settled sessions. */
  goodMicros: bigint
  /** What runs would have paid that the provider lost, or that are disputed. */
  badMicros: bigint
}

/**
 * Reliability from what payers paid, shrunk towards one half while little is known:
 * `(good + prior / 2) / (good + bad + prior)`, where a payer counts for {@link REPUTATION_PAYER_CAP_MICROS} at most.
 *
 * A weight of x costs at least x in fees that do not come back, by whatever number of wallets it is paid: who deals
 * with himself pays for all that he shows.
 *
 * @returns reliability from 0 to 1 in thousandths, and the weight behind it in micro-USDC
 * @example scoreReputation([]) // { reliability: 0.5, weightMicros: 0n }
 */
export function scoreReputation(payers: Iterable<PayerRecord>): {
  reliability: number
  weightMicros: UsdcMicros
} {
  let [good, bad] = [0n, 0n]
  for (const { goodMicros, badMicros } of payers) {
    good += capped(goodMicros)
    bad += capped(badMicros)
  }
  const weightMicros = good + bad
  const thousandths =
    ((2n * good + REPUTATION_PRIOR_MICROS) * 500n) / (weightMicros + REPUTATION_PRIOR_MICROS)
  return { reliability: Number(thousandths) / 1_000, weightMicros: micros(weightMicros) }
}

const capped = (amount: bigint) =>
  amount < REPUTATION_PAYER_CAP_MICROS ? amount : REPUTATION_PAYER_CAP_MICROS

/** What the coordinator knows about a provider from receipts and heartbeats; nothing in it is typed in. */
export const reputation = z.strictObject({
  /** Sessions settled on the chain in the last {@link REPUTATION_DAYS} days, as everything but uptime. */
  completedSessions: z.int().min(0),
  completedExecutions: z.int().min(0),
  failedExecutions: z.int().min(0),
  /** Failed executions by reason; those that are missing did not happen. */
  failures: z.partialRecord(failureReason, z.int().min(1)),
  disputes: z.int().min(0),
  /** Wallets that paid. */
  payers: z.int().min(0),
  /** Fees behind the figures: platform's and reserve's shares of settled sessions. */
  feesMicros: usdcMicros,
  /** What the rules have refunded agents out of this provider's share of the reserve, ever. */
  refundedMicros: usdcMicros,
  /** From 0 to 1; 0.5 is unknown. See {@link scoreReputation}. */
  reliability: z.number().min(0).max(1),
  /** Fees that reliability rests on, each payer's up to a cap: its sample size. */
  weightMicros: usdcMicros,
  /** What a call took besides its tool's run, milliseconds, without each session's first; absent without any. */
  response: z
    .strictObject({ executions: z.int().min(1), p50Ms: z.int().min(0), p95Ms: z.int().min(0) })
    .optional(),
  /** Share of the last {@link UPTIME_DAYS} days, or of the time since registration, with a heartbeat; from 0 to 1. */
  uptime: z.strictObject({ share: z.number().min(0).max(1), hours: z.number().min(0) }),
})
/** See {@link reputation}. */
export type Reputation = z.output<typeof reputation>

/** Of a provider that nobody knows anything of. */
export const UNKNOWN_REPUTATION: Reputation = {
  completedSessions: 0,
  completedExecutions: 0,
  failedExecutions: 0,
  failures: {},
  disputes: 0,
  payers: 0,
  feesMicros: micros(0n),
  refundedMicros: micros(0n),
  ...scoreReputation([]),
  uptime: { share: 0, hours: 0 },
}
