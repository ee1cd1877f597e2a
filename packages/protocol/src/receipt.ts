import { z } from 'zod'
import { ED25519_KEY, sha256Schema } from './bytes.ts'
import { parseCanonicalJson } from './canonicalJson.ts'
import { decodeJwsBy, type Ed25519Sign, type Ed25519Verify, isSignedBy, jwsHash, makeJws } from './jws.ts'
import { exactCost } from './meter.ts'
import { type Receipt, receipt } from './receiptSchema.ts'
import { readPlainReceipt } from './receiptText.ts'
import { instant } from './time.ts'

export * from './receiptSchema.ts'

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
