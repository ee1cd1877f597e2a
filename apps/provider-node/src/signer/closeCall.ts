import { channelId, type Hex, ZERO } from '@orien/protocol'
import { encodeCloseBatch } from '@orien/sdk'
import type { BackedClaim } from './request.ts'

/** What is closed without a payment needs no voucher. */
const voucherOf = ({ claimMicros, voucher }: BackedClaim) => (claimMicros === ZERO ? null : (voucher ?? null))

/** The data of the call that closes these channels, all of one payee, in the order in which they were signed. */
export function closeCall(
  payee: Hex,
  { claims, deadline }: { claims: readonly BackedClaim[]; deadline: number },
  signature: Hex,
): Hex {
  const entries = claims.map(({ channel, claimMicros }) => ({ channelId: channelId(channel), claimMicros }))
  return encodeCloseBatch({ payee, claims: entries, deadline }, signature, claims.map(voucherOf))
}
