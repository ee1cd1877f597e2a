/** Every bound that more than one part of ORIEN has to know. Bytes, counts and milliseconds. */
export const LIMITS = {
  /** A JSON request body. */
  requestBodyBytes: 1_048_576,
  /** Nesting of a JSON body. */
  jsonDepth: 32,
  /** Arguments of one execution, as JSON. */
  argumentsBytes: 524_288,
  /** One argv element that a tool receives. */
  argumentBytes: 131_071,
  /** A file sent to or from a workspace. */
  fileBytes: 1_073_741_824,
  /** A workspace-relative file name. */
  fileNameBytes: 512,
  /** A transfer that makes no headway for this long is dropped, whichever side is the slow one. */
  transferIdleMs: 60_000,
  /** Headway of a transfer: fewer bytes than this (or the end) within the idle time are none. */
  transferStepBytes: 65_536,
  /** Transfers at once: of one session, of one agent, of one coordinator. */
  sessionTransfers: 4,
  agentTransfers: 16,
  transfers: 128,
  /** Transfers of one agent that wait for their turn, and for how long. */
  agentWaitingTransfers: 64,
  transferWaitMs: 30_000,
  /** What a workspace may hold before the deposit of its session is final. */
  unfundedFileBytes: 16_777_216,
  /** What has arrived of an upload that was cut off is kept this long. */
  uploadKeptMs: 900_000,
  /** Files listed of one workspace. */
  filesListed: 10_000,
  /** Output a result carries inline; the rest is read from the logs. */
  inlineOutputBytes: 65_536,
  /** One log chunk on the wire. */
  logChunkBytes: 65_536,
  /** `Prefer: wait` at most. */
  waitMs: 300_000,
  /** A page of a list. */
  pageItems: 100,
  /** A mission's text. */
  missionChars: 2_000,
  /** Executions of one session that have not ended. */
  openExecutions: 1_000,
  /** Wallets that one provider refuses. */
  blockedPayers: 1_000,
  /** Tools of one provider. */
  tools: 100,
  /** Arguments of one tool. */
  toolArguments: 50,
  /** Claims that a provider signs as one: of ten times as many none would cost a twentieth of gas less. */
  batchClaims: 100,
  /** Lease of a run beyond its deadline. */
  leaseMs: 900_000,
  /** A grant below this is refused. */
  minimumGrantMs: 100,
  /** A session's step buys at least this long: the agent is asked at half of it, and its answer has to arrive. */
  minimumStepMs: 2_000,
  /** A run that can take no longer than this gets one grant, whatever its session's step. */
  oneGrantMs: 30_000,
  /** Tolerance between the node's interval and the coordinator's. */
  toleranceMs: 250,
  /** … and its relative part, in per mille. */
  tolerancePerMille: 10,
  /** A deposit below this is not relayed: its gas would cost more than it buys. */
  minimumDepositMicros: 10_000n,
  /** What a coordinator keeps for one agent at most, all of its deposited balance together: 100 USDC. */
  custodialBalanceMicros: 100_000_000n,
  /** How long an authorisation of a deposit into it may be good: as long as somebody else could submit it. */
  custodialDepositMs: 86_400_000,
  /** The highest price of an effective minute: a million USDC. */
  maximumRateMicros: 1_000_000_000_000n,
  /** Life of an EIP-3009 authorisation that the SDK signs. */
  depositValidityMs: 600_000,
  /** How long the way out that an agent signs ahead can be relayed. */
  exitValidityMs: 30 * 86_400_000,
  /** A provider is offline after this long without a heartbeat. */
  heartbeatTimeoutMs: 15_000,
  /** How often a node sends one. */
  heartbeatEveryMs: 5_000,
} as const
