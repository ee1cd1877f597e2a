import type { Admission, FromNode, Hex, Id, ProviderLoad, ToNode } from '@orien/protocol'
import type { Arrival, ChannelPayout, SignedTransfer } from '@orien/rails'
import type { Tracing } from '@orien/tracing'
import type { Logger } from 'pino'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { CustodyKey } from './custody/key.ts'
import type { Database, Unit } from './db/executor.ts'
import type { HealthProbe } from './db/health.ts'
import type { Bus } from './events/bus.ts'
import type { Feeds } from './events/feed.ts'
import type { Joined, WorkSelector } from './execution/store.ts'
import type { ChainProbe } from './health/chainHealth.ts'
import type { CoordinatorKey } from './keys.ts'
import type { Random } from './random.ts'
import type { FigureReader } from './telemetry/figures.ts'
import type { Metrics } from './telemetry/metrics.ts'
import type { Trails } from './telemetry/trails.ts'

/** The chain that sessions settle on, as far as everyone needs to know it. */
export type ChainTerms = {
  chainId: number
  escrow: Hex
  token: Hex
  tokenName: string
  tokenVersion: string
  closeGraceMs: number
  rpcUrl: string
  /** A deposit below this is not relayed here; the protocol's own least where absent. */
  minimumDepositMicros?: bigint
}

/** What a node tells about itself while it is connected; gone with its connection. */
export type NodeState = { admission: Admission; load?: ProviderLoad }

/** Live connections of nodes to this process. */
export type Nodes = {
  isOnline: (providerId: string) => boolean
  online: () => readonly string[]
  /** What a connected node said last of whom it takes in, and how busy it is. */
  stateOf: (providerId: string) => NodeState | undefined
  /** @returns false when the node is not connected here */
  send: (providerId: string, message: ToNode) => boolean
  /** Ends the connection: something that the node said could not be taken, and on the next one it says it again. */
  cut: (providerId: string) => void
  /**
   * Asks and waits for the one answer.
   *
   * @throws OrienError `provider_offline`, `node_unreachable`, or what the node answered
   */
  ask: <T extends FromNode['type']>(
    providerId: string,
    request: NodeRequest,
    answer: T,
  ) => Promise<Extract<FromNode, { type: T }>>
}

type Requests = Extract<ToNode, { type: 'claimRequest' | 'fileFind' }>
/** A question to a node, without the number that the connection gives it. */
export type NodeRequest = Requests extends infer R
  ? R extends Requests
    ? Omit<R, 'requestId'>
    : never
  : never

/** What is asked of the relayer: one transaction, planned in the transaction that needs it. */
export type PlannedTransaction = {
  kind:
    | 'open'
    | 'open_batch'
    | 'top_up'
    | 'close'
    | 'close_batch'
    | 'request_close'
    | 'set_operator'
    | 'custody_deposit'
    | 'withdrawal'
  /** With the kind, names it once: planning it again changes nothing. */
  reference: string
  sessionId?: string
  providerId?: string
  agentId?: string
  amountMicros: bigint
  to: Hex
  data: Hex
  detail: Record<string, unknown>
}

/** Plans transactions; a worker signs, sends and follows them. */
export type Outbox = {
  plan: (unit: Unit, transaction: PlannedTransaction) => Promise<void>
  /** Plans one transaction that does what all of its parts ask for. */
  planBatch: (
    unit: Unit,
    carrier: Omit<PlannedTransaction, 'reference' | 'sessionId'>,
    parts: readonly Omit<PlannedTransaction, 'to' | 'data'>[],
  ) => Promise<void>
}

/** Everything a verb may use. Made once, in app.ts. */
export type Context = {
  config: Config
  clock: Clock
  random: Random
  db: Database
  databaseHealth: HealthProbe
  chainHealth: ChainProbe
  bus: Bus
  feeds: Feeds
  nodes: Nodes
  outbox: Outbox
  chain: ChainTerms
  rail: Rail
  key: CoordinatorKey
  custody: CustodyKey
  log: Logger
  metrics: Metrics
  figures: FigureReader
  trails: Trails
  tracing: Tracing
  dispatcher: Dispatcher
}

/** The chain as verbs use it: reads and trial runs, never keys. */
export type Rail = {
  /** @throws OrienError `chain_unavailable` */
  isOperator: (owner: Hex, operator: Hex) => Promise<boolean>
  balanceOf: (wallet: Hex) => Promise<bigint>
  /** Whether the token has seen a holder's signed transfer by its nonce: carried out, or cancelled by the holder. */
  isTransferred: (holder: Hex, nonce: Hex) => Promise<boolean>
  /** What so much gas costs at the present price; null where the chain's coin is not USDC. */
  gasMicros: (gas: bigint) => Promise<bigint | null>
  /** The account that refunds by rule are paid from. */
  reserve: () => Promise<Hex>
  /** Runs a call without sending it. */
  simulate: (call: { to: Hex; data: Hex }) => Promise<{ ok: true } | { ok: false; error: string }>
  /** Unix seconds of the latest block. */
  now: () => Promise<number>
  /** What became of a transfer that its holder has signed, whoever submitted it. */
  findArrival: (transfer: SignedTransfer) => Promise<Arrival>
  /** What the chain holds for us, and in a wallet beside it, read at one final block. Micro-USDC. */
  holdings: (wallet: Hex) => Promise<{
    blockNumber: bigint
    escrowMicros: bigint
    reserveMicros: bigint
    walletMicros: bigint
  }>
  /** What channels have paid in the newest final blocks, as many as one may ask for at once. */
  payouts: () => Promise<readonly ChannelPayout[]>
}

/** Where a run belongs: what never changes of it. */
export type Place = {
  sessionId: string
  providerId: string
  outputBytes: number
  /** Its receipt is there: nothing of it comes any more. */
  isRecorded: boolean
  /** Null for a run with one grant; undefined as long as nothing has been asked about the grant of one that goes in steps. */
  grant?: GrantSeen | null
}

/** The grant of a run that goes in steps, as a process saw it last, and how much of it may be used before the next is looked for. */
export type GrantSeen = { deadlineMs: number; askAtMs: number }

/** Carries accepted work to nodes. The row is the truth; what is sent twice runs once. */
export type Dispatcher = {
  /** Sends pending runs of an open channel to their node, if it is connected here. */
  send: (of: WorkSelector) => Promise<void>
  /** The same for a run whose row, as it was just committed, is in hand. */
  sendRow: (row: Joined) => void
  /** Null when this process did not send it. */
  placeOf: (executionId: string) => Place | null
  /** Milliseconds since a run was first sent; null when this process did not send it. */
  observedMs: (executionId: string) => number | null
  forget: (executionId: string) => void
}

/** Who is calling. */
export type Caller = {
  agentId: Id<'agent'>
  wallet: Hex
  credentialId: string
  kind: 'token' | 'key'
  scopes: readonly ('read' | 'spend')[]
}
