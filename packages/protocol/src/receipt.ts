import { z } from 'zod'
import { bytes32, ED25519_KEY, sha256Schema } from './bytes.ts'
import { parseCanonicalJson } from './canonicalJson.ts'
import { failureReason } from './execution.ts'
import { executionId, providerId, sessionId } from './ids.ts'
import { decodeJwsBy, type Ed25519Sign, type Ed25519Verify, isSignedBy, jwsHash, makeJws } from './jws.ts'
import { toolId } from './manifest.ts'
import { exactCost } from './meter.ts'
import { usdcMicros } from './money.ts'
import { isolationClass } from './offer.ts'
import { readPlainReceipt } from './receiptText.ts'
import { instant } from './time.ts'

/** A file and what was in it. */
export const fileHash = z.strictObject({
  name: z.string().max(512),
  sha256: sha256Schema,
  bytes: z.int().min(0),
})

/** Where each figure of the meter was read. */
export const meterSource = z.enum(['cgroup', 'helper', 'node'])

/**
 * One run, as its node saw it: signed, and chained to the receipt before it (or to the offer). The only way a run
 * gets a cost.
 */
export const receipt = z.strictObject({
  v: z.literal(1),
  executionId,
  sessionId,
  providerId,
  channelId: bytes32,
  /** 1, 2, 3 … within the session. */
  sequence: z.int().positive(),
  /** Hash of the receipt before, or of the offer for the first one. */
  previous: sha256Schema,
  /** The grant that the run stopped on. */
  grant: z.int().positive(),
  tool: toolId,
  manifestHash: sha256Schema,
  /** SHA-256 over salt and canonical arguments: provable to who knows them, opaque to others. */
  argumentsHash: sha256Schema,
  inputs: z.array(fileHash).max(100),
  outputs: z.array(fileHash).max(1_000),
  /** SHA-256 over all output, in the order it was delivered. */
  logHash: sha256Schema,
  logBytes: z.int().min(0),
  isolation: isolationClass,
  startedAt: instant,
  endedAt: instant,
  /** Billed effective time, milliseconds. */
  effectiveMs: z.int().min(0),
  cpuMs: z.int().min(0),
  maxRssBytes: z.int().min(0),
  /**
   * What the whole tree moved by read and write calls, whatever lay behind the descriptor; both absent where the
   * node's driver does not count it, and in receipts from before it was counted.
   */
  readBytes: z.int().min(0).optional(),
  writtenBytes: z.int().min(0).optional(),
  sources: z.strictObject({
    wall: meterSource,
    cpu: meterSource,
    memory: meterSource,
    io: meterSource.optional(),
  }),
  exitCode: z.int().nullable(),
  status: z.enum(['completed', 'failed']),
  reason: failureReason.optional(),
  rateMicrosPerMinute: usdcMicros,
  holdMicros: usdcMicros,
  deadlineMs: z.int().positive(),
  costMicros: usdcMicros,
  /** Sum of the costs of this and all receipts before it in the session. */
  cumulativeMicros: usdcMicros,
})
/** See {@link receipt}. */
export type Receipt = z.output<typeof receipt>

/** What the coordinator adds: it saw this receipt and recorded it. */
export const countersignature = z.strictObject({
  v: z.literal(1),
  receiptHash: sha256Schema,
  recordedAt: instant,
})
/** See {@link countersignature}. */
export type Countersignature = z.output<typeof countersignature>

/** Signs a receipt with the node's key. */
export function signReceipt(value: Receipt, nodeKey: string, sign: Ed25519Sign): string {
  return makeJws('orien-receipt+jws', nodeKey, z.encode(receipt, value), sign)
}

/** A receipt that was read, with the key it claims. Not yet verified. */
export type ReadReceipt = {
  receipt: Receipt
  hash: string
  /** The key that it names, base64url. Whose key that is only the registration tells. */
  nodeKey: string
  verify: (nodeKey: string, verify: Ed25519Verify) => boolean
}

function readReceiptText(text: string): Receipt | undefined {
  return readPlainReceipt(text) ?? readAnyReceipt(text)
}

/** Reads a receipt's canonical JSON by the schema; undefined for any other text. */
export function readAnyReceipt(text: string): Receipt | undefined {
  const parsed = receipt.safeDecode(parseCanonicalJson(text) as z.input<typeof receipt>)
  return parsed.success ? parsed.data : undefined
}

/** Reads a receipt's compact JWS; null when it is not exactly one. */
export function readReceipt(jws: string): ReadReceipt | null {
  const decoded = decodeJwsBy(readReceiptText, 'orien-receipt+jws', jws)
  if (!decoded || !ED25519_KEY.test(decoded.publicKey)) return null
  return {
    receipt: decoded.payload,
    hash: jwsHash(jws),
    nodeKey: decoded.publicKey,
    verify: (nodeKey, verify) => isSignedBy(decoded, nodeKey, verify),
  }
}

/** Where a chain stands before the next receipt. */
export type ChainHead = { sequence: number; hash: string; cumulativeMicros: Receipt['cumulativeMicros'] }

/** What is wrong inside a receipt, or with its place in the chain; null when all is right. */
export function receiptFault(
  value: Receipt,
  head: ChainHead,
): { field: keyof Receipt; message: string } | null {
  const fault = (field: keyof Receipt, message: string) => ({ field, message })
  if (value.sequence !== head.sequence + 1) return fault('sequence', `must be ${head.sequence + 1}`)
  if (value.previous !== head.hash) return fault('previous', 'must be the hash of the receipt before')
  if (value.effectiveMs > value.deadlineMs) return fault('effectiveMs', 'must not exceed the deadline')
  const ran = value.status === 'completed' || value.reason !== 'rejected'
  const cost = ran ? exactCost(value.rateMicrosPerMinute, value.effectiveMs) : 0n
  if (value.costMicros !== cost) return fault('costMicros', `must be ${cost}`)
  if (value.costMicros > value.holdMicros) return fault('costMicros', 'must not exceed the hold')
  if (value.cumulativeMicros !== head.cumulativeMicros + value.costMicros) {
    return fault('cumulativeMicros', 'must be the sum so far')
  }
  if ((value.status === 'failed') !== (value.reason !== undefined))
    return fault('reason', 'belongs to a failed run')
  if (Date.parse(value.endedAt) < Date.parse(value.startedAt))
    return fault('endedAt', 'must not be before startedAt')
  return null
}
