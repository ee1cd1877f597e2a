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

/**
 * The close of some channels. The signer has no other kind of request: what it signs it has put together itself, so
 * nobody can have it sign a digest of theirs.
 */
const closeRequest = z.strictObject({
  kind: z.literal('close'),
  claims: z.array(backedClaim).min(1).max(LIMITS.batchClaims),
  /** Unix seconds. */
  deadline: z.int().positive(),
})
/** See {@link closeRequest}. */
export type CloseRequest = z.output<typeof closeRequest>

const errorCode = z.custom<ErrorCode>((value) => isErrorCode(value))

/** What goes over the socket to the signer, one line each. */
export const signerRequest = z.strictObject({ id: z.int().min(0), request: closeRequest })

/** What was signed: the claims that are not refused, in their order; nothing when all are. */
const signedClose = z.strictObject({
  signature: signature.optional(),
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
