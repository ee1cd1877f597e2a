/** Bounds of every talk with a chain. */
export const CHAIN_LIMITS = {
  /** One RPC request. */
  requestMs: 5_000,
  /** What Arc and others allow one transaction since Osaka. https://eips.ethereum.org/EIPS/eip-7825 */
  transactionGas: 16_777_216n,
  /** A gas limit is the estimate plus this many per cent: balances may change until it is mined. */
  gasMarginPercent: 25n,
  /** What one of several openings in a transaction may spend: it takes 125,000, a provider's first 46,000 more. */
  openingGas: 250_000n,
  /** Waiting for a transaction of one's own to be mined, and how often to look. */
  minedMs: 60_000,
  minedPollMs: 250,
  /** Blocks of one question for logs; public endpoints refuse wider ranges. */
  logRangeBlocks: 9_999n,
  /** Questions for logs in one search: weeks of a chain with second blocks. */
  logRanges: 400,
  /** Of those, when one transfer of the last day is looked for. */
  arrivalRanges: 40,
  /** What the dearest single transaction of the relayer takes, with some room: a wallet with less cannot work. */
  relayerGas: 600_000n,
  /** Of an RPC's error message, what is passed on. */
  detailChars: 300,
} as const
