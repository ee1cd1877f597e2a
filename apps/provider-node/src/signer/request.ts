import {
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

/** The close of one channel, with everything that backs its amount. */
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

const closeTerms = {
  claims: z.array(backedClaim).min(1).max(LIMITS.batchClaims),
  /** Unix seconds. */
  deadline: z.int().positive(),
}

/** The close of some channels, for somebody else to send. */
const closeRequest = z.strictObject({ kind: z.literal('close'), ...closeTerms })
/** See {@link closeRequest}. */
export type CloseRequest = z.output<typeof closeRequest>

const wei = z.codec(z.string().regex(/^\d{1,38}$/), z.bigint(), {
  decode: (text) => BigInt(text),
  encode: (value) => value.toString(),
})

/** The same as a transaction of the operator key itself, which pays its gas out of what that key holds. */
const sendRequest = z.strictObject({
  kind: z.literal('send'),
  ...closeTerms,
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

const errorCode = z.custom<ErrorCode>((value) => isErrorCode(value))

/**
 * What goes over the socket to the signer, one line each. It knows closes alone: what it signs it has put together
 * itself, so nobody can have it sign a digest or a transaction of theirs.
 */
export const signerRequest = z.strictObject({
  id: z.int().min(0),
  request: z.discriminatedUnion('kind', [closeRequest, sendRequest]),
})

/** What was signed: the claims that are not refused, in their order; nothing when all are. */
const signedClose = z.strictObject({
  signature: signature.optional(),
  /** The bytes of the transaction, for a request to send. */
  raw: z.custom<Hex>((value) => typeof value === 'string' && /^0x[0-9a-f]+$/.test(value)).optional(),
  refused: z.array(z.strictObject({ sessionId, code: errorCode, detail: z.string() })),
})
/** See {@link signedClose}. */
export type SignedClose = z.output<typeof signedClose>

/** What comes back: first whether the signer is there, then an answer for each request. */
export const signerAnswer = z.union([
  z.strictObject({ ready: z.literal(true), address: z.string() }),
  z.strictObject({ ready: z.literal(false), code: errorCode, detail: z.string() }),
  z.strictObject({ id: z.int(), closed: signedClose }),
  z.strictObject({ id: z.int(), code: errorCode, detail: z.string() }),
])

/** What the operator key signs for the close of these channels, all of one payee. */
export function closeDigest(
  place: Pick<ChannelTerms, 'chainId' | 'escrow'>,
  payee: Hex,
  { claims, deadline }: { claims: readonly Pick<BackedClaim, 'channel' | 'claimMicros'>[]; deadline: number },
): Hex {
  const entries = claims.map(({ channel, claimMicros }) => ({ channelId: channelId(channel), claimMicros }))
  return batchDigest(place, 'CloseBatch', { payee, claims: entries, deadline })
}
