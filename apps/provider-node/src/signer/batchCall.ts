import { channelId, type Hex, ZERO } from '@orien/protocol'
import { encodeBatch } from '@orien/sdk'
import type { BackedClaim, BatchOf } from './request.ts'

/** What is closed without a payment needs no voucher. */
const voucherOf = ({ claimMicros, voucher }: BackedClaim) => (claimMicros === ZERO ? null : (voucher ?? null))

/** The data of the call that pays these channels, all of one payee, in the order in which they were signed. */
export function batchCall(
  payee: Hex,
  { batch, claims, deadline }: BatchOf<BackedClaim>,
  signature: Hex,
): Hex {
  const entries = claims.map(({ channel, claimMicros }) => ({ channelId: channelId(channel), claimMicros }))
  return encodeBatch(batch, { payee, claims: entries, deadline }, signature, claims.map(voucherOf))
}
