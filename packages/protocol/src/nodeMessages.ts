import { z } from 'zod'
import { address, bytes32, sha256Schema, signature } from './bytes.ts'
import { channelTerms, voucher } from './channel.ts'
import { executionId, providerId, sessionId } from './ids.ts'
import { LIMITS } from './limits.ts'
import { toolId } from './manifest.ts'
import { usdcMicros } from './money.ts'
import { traceparent } from './runReport.ts'
import { instant } from './time.ts'
import { fileView } from './views.ts'

/**
 * What a node signs (JWS `orien-node+jws`) to open its connection: bound to the coordinator's nonce, and to the name by
 * which the node reached it, so that whoever is reached by another name cannot pass the proof on.
 */
export const nodeProof = z.strictObject({
  providerId,
  nonce: z.string().min(16).max(128),
  at: instant,
  /** See {@link coordinatorName}. */
  coordinator: z.string().min(1).max(253),
})

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/**
 * The name of a coordinator in a {@link nodeProof}: the host of its address. A port is no part of it, because whoever
 * answers for a name answers for all its ports; all names of the machine itself are one.
 *
 * @example
 * coordinatorName('https://Orien.example:8443/x') // 'orien.example'
 * coordinatorName('ws://127.0.0.1:3000') // 'localhost'
 */
export function coordinatorName(url: string | URL): string {
  const { hostname } = new URL(url)
  return LOOPBACK.test(hostname) ? 'localhost' : hostname
}

/** Signed heartbeat for nodes without a WebSocket. */
export const heartbeatProof = z.strictObject({ providerId, at: instant })

/** All that a node needs for one run; it trusts none of it before checking. */
export const dispatch = z.strictObject({
  executionId,
  sessionId,
  tool: toolId,
  manifestHash: z.string(),
  args: z.record(z.string(), z.unknown()),
  argumentsSalt: bytes32,
  grant: z.int().positive(),
  holdMicros: usdcMicros,
  deadlineMs: z.int().positive(),
  /** The hold may be raised to this while the tool runs, step by step; absent for a run with one grant. */
  mostMicros: usdcMicros.optional(),
  rateMicrosPerMinute: usdcMicros,
  offerHash: z.string(),
  channel: channelTerms,
  voucher,
})
/** See {@link dispatch}. */
export type Dispatch = z.output<typeof dispatch>

/** A grant that was raised while its run goes on, and the voucher that covers it. The figures are totals, not additions. */
export const extension = dispatch.pick({
  executionId: true,
  sessionId: true,
  holdMicros: true,
  deadlineMs: true,
  voucher: true,
})
/** See {@link extension}. */
export type Extension = z.output<typeof extension>

/**
 * What a session's agent is asked for, the data of `voucher.requested`: a cumulative voucher that raises the run's hold
 * to `holdMicros`, and so its deadline. Nothing happens to a run whose request stays unanswered but that it ends there.
 */
export const voucherRequest = z.strictObject({
  executionId,
  requiredCumulativeMicros: usdcMicros,
  holdMicros: usdcMicros,
  deadlineMs: z.int().positive(),
})
/** See {@link voucherRequest}. */
export type VoucherRequest = z.output<typeof voucherRequest>

/**
 * What an owner lets the node do: `open` takes everything, `draining` finishes the sessions that are under way and takes
 * no new one, `killed` takes no work at all.
 */
export const nodeMode = z.enum(['open', 'draining', 'killed'])
/** See {@link nodeMode}. */
export type NodeMode = z.output<typeof nodeMode>

/**
 * Whom a node takes in now. A coordinator refuses by it before an agent signs a deposit; the node refuses by it again.
 */
export const admission = z.strictObject({
  mode: nodeMode,
  /** Sessions at once; no bound of the owner's own when absent. */
  maxSessions: z.int().min(1).optional(),
  /** Wallets that the owner serves no more. */
  blocked: z.array(address).max(LIMITS.blockedPayers),
})
/** See {@link admission}. */
export type Admission = z.output<typeof admission>

/** The close of one session's channel at all that was earned in it. */
export const closingClaim = z.strictObject({ sessionId, channel: channelTerms, claimMicros: usdcMicros })
/** See {@link closingClaim}. */
export type ClosingClaim = z.output<typeof closingClaim>

/** A claim that a node does not sign, and why. */
export const refusedClaim = z.strictObject({ sessionId, code: z.string(), detail: z.string() })
/** See {@link refusedClaim}. */
export type RefusedClaim = z.output<typeof refusedClaim>

/** Correlates a request and its answers on one connection. */
const requestId = z.int().min(0)

/** Messages a coordinator sends to a node. */
export const toNode = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('challenge'), nonce: z.string() }),
  z.strictObject({ type: z.literal('welcome'), providerId, serverTime: instant, heartbeatEveryMs: z.int() }),
  z.strictObject({ type: z.literal('refused'), code: z.string(), detail: z.string() }),
  /** `traceparent` only while the coordinator traces. */
  z.strictObject({ type: z.literal('dispatch'), work: dispatch, traceparent: traceparent.optional() }),
  /** Said again, or lower than what is known, it changes nothing. */
  z.strictObject({ type: z.literal('extend'), extension }),
  z.strictObject({ type: z.literal('cancel'), executionId }),
  /** Stop everything of a session; no new work will come for it. */
  z.strictObject({ type: z.literal('endSession'), sessionId }),
  /** The session is settled: nothing of it may stay. */
  z.strictObject({ type: z.literal('forgetSession'), sessionId }),
  z.strictObject({ type: z.literal('receiptAck'), executionId, countersignature: z.string() }),
  z.strictObject({ type: z.literal('receiptRefused'), executionId, code: z.string(), detail: z.string() }),
  /** Asks for the one signature (`CloseBatch`) that closes these channels at these amounts. `deadline` in Unix seconds. */
  z.strictObject({
    type: z.literal('claimRequest'),
    requestId,
    claims: z.array(closingClaim).min(1).max(LIMITS.batchClaims),
    deadline: z.int().positive(),
  }),
  z.strictObject({ type: z.literal('fileList'), requestId, sessionId }),
  /** From `fromByte` on, if the file still is the one of `ifSha256`; else, and without it, as `fileOpened` says. */
  z.strictObject({
    type: z.literal('fileRead'),
    requestId,
    sessionId,
    name: z.string(),
    fromByte: z.int().min(0),
    ifSha256: sha256Schema.optional(),
  }),
  /** How much is there of an upload that was cut off. */
  z.strictObject({
    type: z.literal('fileFind'),
    requestId,
    sessionId,
    name: z.string(),
    bytes: z.int().min(0),
    sha256: sha256Schema,
  }),
  /**
   * Bytes `fromByte` up to `toByte` (exclusive) of a file of `bytes`. With `sha256` what has arrived is kept when the
   * transfer is cut off, and the file may come in parts.
   */
  z.strictObject({
    type: z.literal('fileWrite'),
    requestId,
    sessionId,
    name: z.string(),
    bytes: z.int().min(0),
    fromByte: z.int().min(0),
    toByte: z.int().min(0),
    sha256: sha256Schema.optional(),
    /** What the whole workspace may hold afterwards, where that is less than the node would allow. */
    shareBytes: z.int().min(0).optional(),
  }),
  z.strictObject({ type: z.literal('fileChunk'), requestId, data: z.string() }),
  /** The last chunk was sent; the hash of the whole file with its last part. */
  z.strictObject({ type: z.literal('fileEnd'), requestId, sha256: sha256Schema.optional() }),
  z.strictObject({ type: z.literal('fileAbort'), requestId }),
  /** Lets the sender of chunks go on: credit-based flow control. */
  z.strictObject({ type: z.literal('fileCredit'), requestId, chunks: z.int().positive() }),
])
/** See {@link toNode}. */
export type ToNode = z.output<typeof toNode>

/** Messages a node sends to a coordinator. */
export const fromNode = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hello'),
    /** JWS over {@link nodeProof}. */
    proof: z.string(),
    /** The current offer, a JWS. */
    offer: z.string(),
    version: z.string(),
    /** Executions the node has in hand: running, queued, or finished without an acknowledged receipt. */
    inHand: z.array(executionId).max(10_000),
    /** Absent: everybody. */
    admission: admission.optional(),
  }),
  z.strictObject({
    type: z.literal('heartbeat'),
    at: instant,
    running: z.int().min(0),
    queued: z.int().min(0),
    /** Runs at once that the node has room for. */
    slots: z.int().min(0).optional(),
    mode: nodeMode.optional(),
    /** How far the coordinator's clock is ahead of the node's, milliseconds, as the node measured it. */
    clockSkewMs: z.int().optional(),
  }),
  /** The owner has changed whom the node takes in. */
  z.strictObject({ type: z.literal('admission'), admission }),
  z.strictObject({ type: z.literal('started'), executionId, at: instant }),
  z.strictObject({
    type: z.literal('log'),
    executionId,
    stream: z.enum(['stdout', 'stderr']),
    /** Bytes of all output before this chunk. */
    offset: z.int().min(0),
    data: z.string(),
  }),
  /** `deadlineMs` of the grant that the run is on: what was lost on the way is said again when it is too low. */
  z.strictObject({
    type: z.literal('meter'),
    executionId,
    effectiveMs: z.int().min(0),
    deadlineMs: z.int().positive().optional(),
  }),
  /** `report` is read by `readRunReport`: a bad one must not cost the receipt. */
  z.strictObject({
    type: z.literal('receipt'),
    executionId,
    jws: z.string(),
    report: z.unknown().optional(),
  }),
  /**
   * The answer to a `claimRequest`: a signature under those of its claims that are not refused, in its order; none when
   * all are.
   */
  z.strictObject({
    type: z.literal('claim'),
    requestId,
    signature: signature.optional(),
    refused: z.array(refusedClaim).max(LIMITS.batchClaims),
  }),
  z.strictObject({ type: z.literal('failure'), requestId, code: z.string(), detail: z.string() }),
  z.strictObject({
    type: z.literal('files'),
    requestId,
    items: z.array(fileView),
    /** A list that is too long for one message comes in several. */
    hasMore: z.boolean(),
  }),
  /** The file's size and hash, read once before its bytes are sent, so that a reader knows what to expect. */
  z.strictObject({
    type: z.literal('fileOpened'),
    requestId,
    bytes: z.int().min(0),
    sha256: z.string(),
    /** Where the chunks begin: not where it was asked when the file has changed. */
    fromByte: z.int().min(0),
  }),
  z.strictObject({
    type: z.literal('fileFound'),
    requestId,
    receivedBytes: z.int().min(0),
    isComplete: z.boolean(),
  }),
  /** What has arrived of an upload: chunks may come from there on. */
  z.strictObject({ type: z.literal('fileReady'), requestId, receivedBytes: z.int().min(0) }),
  /** A part that was not the last is kept. */
  z.strictObject({ type: z.literal('filePart'), requestId, receivedBytes: z.int().min(0) }),
  z.strictObject({ type: z.literal('fileChunk'), requestId, data: z.string() }),
  z.strictObject({ type: z.literal('fileEnd'), requestId, sha256: z.string(), bytes: z.int().min(0) }),
  z.strictObject({ type: z.literal('fileCredit'), requestId, chunks: z.int().positive() }),
])
/** See {@link fromNode}. */
export type FromNode = z.output<typeof fromNode>

/** Where nodes connect to. */
export const NODE_SOCKET_PATH = '/api/nodes/connect'

/**
 * Chunks of a file, of at most {@link LIMITS.logChunkBytes} each, that a sender may have under way before the first
 * `fileCredit`, in either direction. Each credit that comes adds to it.
 */
export const FILE_WINDOW_CHUNKS = 16
