/**
 * How much gas the relayer lends. What it relays is paid back by the platform's share of what sessions spend; without a
 * bound, sessions that are opened and closed for nothing would drain it.
 */
export type RelayLimits = {
  /** For one payer in a UTC day, sessions that have paid for themselves left out. */
  payerDailyGas: bigint
  /** For all payers together that have never had a session that paid for itself, in a UTC day. */
  newcomersDailyGas: bigint
  /** A session that was settled with at least so much spent has paid for its own gas. */
  selfPayingMicros: bigint
  /** A deposit or a top-up below this is not relayed. */
  minimumDepositMicros: bigint
}

/** On a chain whose gas is worth something: ten sessions a payer, two thousand for all newcomers. */
export const RELAY_LIMITS: RelayLimits = {
  payerDailyGas: 3_000_000n,
  newcomersDailyGas: 600_000_000n,
  selfPayingMicros: 100_000n,
  minimumDepositMicros: 100_000n,
}
