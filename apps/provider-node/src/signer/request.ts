import {
  type BatchKind,
  batchDigest,
  type ChannelTerms,
  channelId,
  channelTerms,
  type ErrorCode,
  type Hex,
  isErrorCode,
  LIMITS,
  sessionId,
  signature,
  usdcMicros,
  voucher,
} from '@orien/protocol'
import { z } from 'zod'

/** What is claimed of one channel, with everything that backs its amount. */
const backedClaim = z.strictObject({
  sessionId,
  channel: channelTerms,
  claimMicros: usdcMicros,
  /** The agent's, at least as high as the claim; nothing is claimed without one. */
  voucher: voucher.optional(),
  /** The receipt of the session whose sum is the claim; a session without one is closed at zero. */
  receipt: z.string().max(1_048_576).optional(),
})
/** See {@link backedClaim}. */
export type BackedClaim = z.output<typeof backedClaim>

const batchTerms = {
  /** Whether the channels pay a part and go on, or pay, refund the rest and end. */
  batch: z.enum(['ClaimBatch', 'CloseBatch']),
  claims: z.array(backedClaim).min(1).max(LIMITS.batchClaims),
  /** Unix seconds. */
  deadline: z.int().positive(),
}

/** What some channels pay, for somebody else to send. */
const signRequest = z.strictObject({ kind: z.literal('sign'), ...batchTerms })
/** See {@link signRequest}. */
export type SignRequest = z.output<typeof signRequest>

const wei = z.codec(z.string().regex(/^\d{1,38}$/), z.bigint(), {
  decode: (text) => BigInt(text),
  encode: (value) => value.toString(),
})

/** The same as a transaction of the operator key itself, which pays its gas out of what that key holds. */
const sendRequest = z.strictObject({
  kind: z.literal('send'),
  ...batchTerms,
  /** Fees in wei per unit of gas. */
  fees: z.strictObject({
    nonce: z.int().min(0),
    gas: wei,
    maxFeePerGas: wei,
    maxPriorityFeePerGas: wei,
  }),
})
/** See {@link sendRequest}. */
export type SendRequest = z.output<typeof sendRequest>

/** A batch of claims of which that much is known. */
export type BatchOf<Claim> = { batch: BatchKind; claims: readonly Claim[]; deadline: number }

const errorCode = z.custom<ErrorCode>((value) => isErrorCode(value))

/**
 * What goes over the socket to the signer, one line each. It knows claims alone: what it signs it has put together
 * itself, so nobody can have it sign a digest or a transaction of theirs.
 */
export const signerRequest = z.strictObject({
  id: z.int().min(0),
  request: z.discriminatedUnion('kind', [signRequest, sendRequest]),
})

/** What was signed: the claims that are not refused, in their order; nothing when all are. */
const signedBatch = z.strictObject({
  signature: signature.optional(),
  /** The bytes of the transaction, for a request to send. */
  raw: z.custom<Hex>((value) => typeof value === 'string' && /^0x[0-9a-f]+$/.test(value)).optional(),
  refused: z.array(z.strictObject({ sessionId, code: errorCode, detail: z.string() })),
})
/** See {@link signedBatch}. */
export type SignedBatch = z.output<typeof signedBatch>

/** What comes back: first whether the signer is there, then an answer for each request. */
export const signerAnswer = z.union([
  z.strictObject({ ready: z.literal(true), address: z.string() }),
  z.strictObject({ ready: z.literal(false), code: errorCode, detail: z.string() }),
  z.strictObject({ id: z.int(), signed: signedBatch }),
  z.strictObject({ id: z.int(), code: errorCode, detail: z.string() }),
])

/** What the operator key signs for these channels, all of one payee. */
export function digestOf(
  place: Pick<ChannelTerms, 'chainId' | 'escrow'>,
  payee: Hex,
  { batch, claims, deadline }: BatchOf<Pick<BackedClaim, 'channel' | 'claimMicros'>>,
): Hex {
  const entries = claims.map(({ channel, claimMicros }) => ({ channelId: channelId(channel), claimMicros }))
  return batchDigest(place, batch, { payee, claims: entries, deadline })
}
