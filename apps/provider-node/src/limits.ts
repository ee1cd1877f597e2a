import { LIMITS, micros } from '@orien/protocol'

/** Every bound of the node that is not the world's business; see LIMITS of the protocol for those. Units last. */
export const NODE_LIMITS = {
  /** Runs accepted and not finished; also the most that one hello can name. */
  openRuns: 10_000,
  /** Of one session. */
  sessionOpenRuns: 1_000,
  sessions: 10_000,
  /** Cancels that came before their dispatch. */
  earlyCancels: 1_000,
  /** Whole line of the journal: a receipt with a thousand output files fits. */
  journalLineBytes: 1_048_576,
  /** The journal is rewritten when it has grown by this much since it last was. */
  journalGrowthBytes: 8 * 1_048_576,
  manifestBytes: 1_048_576,
  /** Tools of earlier tools files that accepted work may still name. */
  retiredTools: 1_000,
  /** Receipts of a session that are given up when they are disputed: as many runs as may have been under way by then. */
  concededReceipts: 8,
  /** A message from the coordinator: arguments at their largest, and a chunk of a file. */
  messageBytes: 2 * 1_048_576,
  /** Above this, logs and file chunks wait for the socket to drain. */
  sendBufferBytes: 262_144,
  /** Above this, the other side does not read at all and the connection is given up. */
  sendBufferHardBytes: 33_554_432,
  /** Between node and coordinator; nothing depends on it below this, and beyond it the owner is told to set the clock. */
  clockSkewMs: 30_000,
  transfers: 32,
  /** Uploads of one session, and of all, that are under way or wait to be continued. */
  sessionUploads: 8,
  uploads: 64,
  /** Files of one session whose hashes are remembered. */
  rememberedHashes: 10_000,
  /** What is read to tell the hashes of one list; the rest is listed without. */
  listHashBytes: 1_073_741_824,
  inputFiles: 100,
  outputFiles: 1_000,
  /** Output files are hashed up to this sum; the rest is left out of the receipt. */
  outputHashBytes: 1_073_741_824,
  /** Channels of which a reading is remembered. */
  channelReadings: 10_000,
  /** Rounds of trying a batch of closes without sending it, each without what the one before was refused. */
  claimTrials: 3,
  /** Gas that a batch takes at most beside its claims, and for each of them; `BATCH_COSTS` of the rails, measured there. */
  claimBatchGas: 468_000n,
  claimGas: 62_000n,
  /** Earned and not claimed in all channels together: above it a part is claimed at the next look. */
  unclaimedMicros: micros(5_000_000n),
  /** What they usually take, by docs/gas.md: what a claim has to be worth. */
  claimUsualBatchGas: 65_000n,
  claimUsualGas: 40_000n,
  /** Channels that the guard of running sessions asks the chain about at once. */
  channelReadsAtOnce: 32,
  /** Days of which the book of earnings keeps the runs. */
  earningsDays: 400,
  /** Lines of that book that wait for a slow disk. */
  earningsLinesWaiting: 100_000,
  /** Runs that the loopback interface can tell about. */
  rememberedRuns: 1_000,
} as const

/** How long the node waits for what; tests shorten them. */
export type Timing = { [Name in keyof typeof DEFAULT_TIMING]: number }

export const DEFAULT_TIMING = {
  /** From opening the socket to `welcome`. */
  handshakeMs: 10_000,
  /** First pause before a new attempt; doubles up to the longest. */
  reconnectMs: 500,
  reconnectMaxMs: 30_000,
  /** A connection that lasted this long starts the pauses anew. */
  settledMs: 10_000,
  /** The coordinator says how often it wants to hear from the node, within these. */
  heartbeatMinMs: 100,
  heartbeatMaxMs: 60_000,
  /** A request to the coordinator's HTTP API. */
  requestMs: 15_000,
  /** A reading of a channel that is open and deep enough is good for this long: far below the grace of a close. */
  channelFreshMs: 60_000,
  /** A channel that is not there yet, or a chain that does not answer, is asked again for this long. */
  channelWaitMs: 5_000,
  channelRetryMs: 250,
  /** How long a node that connects waits for its RPC to say whether the escrow is genuine. */
  escrowProofMs: 3_000,
  /** How often a node without a coordinator looks whether it has to claim by itself; with one, as often as a reading is good. */
  claimLookMs: 15_000,
  /** How long a coordinator may be away before a close that an agent has asked for is answered without it. */
  claimPatienceMs: 60_000,
  /** How long it may be silent before everything that was earned is claimed without it. */
  claimSilenceMs: 6 * 3_600_000,
  /** For how long less than the owner's threshold may be earned and not claimed, while the coordinator is there. */
  claimEveryMs: 600_000,
  /** How often the instant is kept at which it was heard. */
  heardKeptMs: 60_000,
  /** How often the meter of a running tool is told. */
  meterEveryMs: 1_000,
  /** How often receipts without a final answer are looked for; what was sent before the last look is sent again. */
  receiptRetryMs: 5_000,
  /** A workspace that nobody has used for this long is destroyed, whatever the coordinator says about its session. */
  workspaceIdleMs: 86_400_000,
  /** From asking a connection to end to ending it. */
  closeMs: 1_000,
  /** A transfer without progress. */
  transferIdleMs: LIMITS.transferIdleMs,
  /** What has arrived of an upload waits this long to be continued. */
  uploadKeptMs: LIMITS.uploadKeptMs,
  /** How long a stop waits for running tools before it kills them. */
  drainMs: 8_000,
  /** How often it is looked whether a drain is over that is to end the node. */
  drainLookMs: 250,
  /** How long a stop waits for the coordinator to take the last receipts. */
  flushMs: 3_000,
  flushLookMs: 20,
  /** How often it is looked whether settled sessions are final on the chain and may be dropped. */
  sweepEveryMs: 600_000,
  /** Validity of an offer; a new one is made after half of it. */
  offerValidityMs: 30 * 86_400_000,
  /** The owner's authorisation of the operator key can be relayed this long. */
  authorisationValidityMs: 90 * 86_400_000,
}
