import {
  channelId,
  channelTerms,
  claimDigest,
  type ErrorCode,
  type Hex,
  isErrorCode,
  sessionId,
  signature,
  usdcMicros,
  voucher,
} from '@orien/protocol'
import { z } from 'zod'

/**
 * The close of one channel, with everything that backs its amount. The signer has no other kind of request: what it
 * signs it has put together itself, so nobody can have it sign a digest of theirs.
 */
const closeRequest = z.strictObject({
  kind: z.literal('close'),
  sessionId,
  channel: channelTerms,
  claimMicros: usdcMicros,
  nonce: z.string().regex(/^(0|[1-9]\d{0,77})$/),
  /** Unix seconds. */
  deadline: z.int().positive(),
  /** The agent's, at least as high as the claim; nothing is claimed without one. */
  voucher: voucher.optional(),
  /** The last receipt of the session, whose sum is the claim; a session without one is closed at zero. */
  receipt: z.string().max(1_048_576).optional(),
})
/** See {@link closeRequest}. */
export type CloseRequest = z.output<typeof closeRequest>

const errorCode = z.custom<ErrorCode>((value) => isErrorCode(value))

/** What goes over the socket to the signer, one line each. */
export const signerRequest = z.strictObject({ id: z.int().min(0), request: closeRequest })

/** What comes back: first whether the signer is there, then an answer for each request. */
export const signerAnswer = z.union([
  z.strictObject({ ready: z.literal(true), address: z.string() }),
  z.strictObject({ ready: z.literal(false), code: errorCode, detail: z.string() }),
  z.strictObject({ id: z.int(), signature }),
  z.strictObject({ id: z.int(), code: errorCode, detail: z.string() }),
])

/** What the operator key signs for a close. */
export function closeDigest({ channel, claimMicros, nonce, deadline }: CloseRequest): Hex {
  const terms = { channelId: channelId(channel), claimMicros, nonce: BigInt(nonce), deadline }
  return claimDigest(channel, 'ClaimAndClose', terms)
}
