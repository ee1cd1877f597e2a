/** Bounds of the local chain. Milliseconds, gas, wei. */
export const LOCAL_CHAIN_LIMITS = {
  /** From spawn to the listening line; measured 0.1 s on an idle machine. */
  startMs: 20_000,
  /** From SIGTERM to exit, state written; a SIGKILL follows. */
  stopMs: 5_000,
  /** How often a chain with a state file writes it, so that a killed one loses no more than this. */
  stateEverySeconds: 2,
  /** One set-up transaction; the largest, FiatToken's deployment, takes 5.0 million. */
  setUpGas: 8_000_000n,
  /** Waiting for one set-up transaction to be mined. */
  minedMs: 30_000,
  /** What `fund` sends: enough for thousands of transactions at the pinned fees. */
  fundWei: 10_000_000_000_000_000_000n,
} as const

/**
 * Fees for every transaction on the local chain, in wei. They are pinned because estimates taken right after a
 * block full of deployments were too low for the next base fee: some transactions were then never mined.
 */
export const localFees = { maxFeePerGas: 100_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n } as const
