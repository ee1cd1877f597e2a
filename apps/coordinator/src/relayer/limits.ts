import { SPLIT } from '@orien/protocol'

/**
 * How much gas the relayer gives before it is paid for. What it relays for sessions is paid by the platform's share of
 * what the same agent's sessions have paid before; without such a rule, sessions that are opened and closed for nothing
 * would drain it.
 */
export type RelayLimits = {
  /** The most of all that follows for one payer in a UTC day. */
  payerDailyGas: bigint
  /** For sessions of agents that have not paid for them, all together in a UTC day: given away, and not had back. */
  giftedDailyGas: bigint
  /** For operator keys and custodial transfers of payers that have never had a session that paid for itself, in a UTC day. */
  newcomersDailyGas: bigint
  /** So much spent pays for the gas of one session; more where gas is dearer than its share, on chains whose coin is USDC. */
  selfPayingMicros: bigint
  /** A deposit or a top-up below this is not relayed. */
  minimumDepositMicros: bigint
}

/** On a chain whose gas is worth something: whoever has paid for nothing yet sends the first deposit itself. */
export const RELAY_LIMITS: RelayLimits = {
  payerDailyGas: 3_000_000n,
  giftedDailyGas: 0n,
  newcomersDailyGas: 600_000_000n,
  selfPayingMicros: 100_000n,
  minimumDepositMicros: 100_000n,
}

/** What has to be spent for the platform's share alone to pay for gas of this worth; never less than what is configured. */
export function selfPayingAt(gasMicros: bigint, selfPayingMicros: bigint): bigint {
  const spentMicros = (gasMicros * 10_000n + SPLIT.platformBps - 1n) / SPLIT.platformBps
  return spentMicros > selfPayingMicros ? spentMicros : selfPayingMicros
}
