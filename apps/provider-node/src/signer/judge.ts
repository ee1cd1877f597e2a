import {
  channelId,
  type ErrorCode,
  type Hex,
  readReceipt,
  sessionSalt,
  type UsdcMicros,
  voucherDigest,
  ZERO,
} from '@orien/protocol'
import { recoverSigner, verifyEd25519 } from '@orien/sdk'
import type { Provider } from '../identity/providerFile.ts'
import type { BackedClaim, SignedBatch, SignRequest } from './request.ts'

/** Why the signer does not sign. */
type SignerRefusal = { code: ErrorCode; detail: string }

/** What a claim is judged by: who we are, and what was signed before. */
export type Grounds = {
  provider: Pick<Provider, 'registration' | 'chain'>
  /** What was signed for this channel so far; zero when nothing was. */
  signedMicros(channel: Hex): UsdcMicros
}

const refuse = (code: ErrorCode, detail: string): SignerRefusal => ({ code, detail })

/** Whether the channel pays this provider, in its money, by its contract, for this session. */
function channelFault({ channel, sessionId }: BackedClaim, { provider }: Grounds): SignerRefusal | null {
  const { registration, chain } = provider
  if (channel.payee !== registration.payout) return refuse('forbidden', 'the channel pays somebody else')
  if (channel.chainId !== chain.chainId || channel.escrow !== chain.escrow || channel.token !== chain.token)
    return refuse('forbidden', 'the channel is of another chain or contract')
  if (channel.salt !== sessionSalt(sessionId)) return refuse('forbidden', 'the channel is of another session')
  return null
}

/** Whether our own receipt says that this much was earned. */
function receiptFault(
  claim: BackedClaim,
  channel: Hex,
  { registration }: Grounds['provider'],
): SignerRefusal | null {
  const read = readReceipt(claim.receipt ?? '')
  if (!read?.verify(registration.nodeKey, verifyEd25519))
    return refuse('receipt_mismatch', 'no receipt of this node backs the claim')
  const { receipt } = read
  if (receipt.sessionId !== claim.sessionId || receipt.channelId !== channel)
    return refuse('receipt_mismatch', 'the receipt is of another session')
  if (receipt.cumulativeMicros !== claim.claimMicros)
    return refuse('receipt_mismatch', `the receipts sum to ${receipt.cumulativeMicros} micro-USDC`)
  return null
}

/** Whether the agent has authorised this much. */
function voucherFault({ voucher, channel, claimMicros }: BackedClaim, id: Hex): SignerRefusal | null {
  if (!voucher || voucher.cumulativeMicros < claimMicros)
    return refuse('voucher_required', 'no voucher of the agent covers the claim')
  const signer = recoverSigner(voucherDigest(channel, id, voucher.cumulativeMicros), voucher.signature)
  return signer === channel.authorizedSigner
    ? null
    : refuse('voucher_invalid', 'the voucher is not by the channel’s signer')
}

/** Judges a claim by what it brings along. @returns null when it may be signed */
function claimFault(claim: BackedClaim, grounds: Grounds): SignerRefusal | null {
  const foreign = channelFault(claim, grounds)
  if (foreign) return foreign
  const id = channelId(claim.channel)
  const before = grounds.signedMicros(id)
  if (claim.claimMicros < before)
    return refuse('illegal_transition', `a claim of ${before} micro-USDC was signed already; it cannot sink`)
  if (claim.claimMicros === ZERO) return null
  return receiptFault(claim, id, grounds.provider) ?? voucherFault(claim, id)
}

/** Judges claims one by one: what is wrong with one is no reason against another. */
export function judgeClaims(
  { claims }: Pick<SignRequest, 'claims'>,
  grounds: Grounds,
): { sound: BackedClaim[]; refused: SignedBatch['refused'] } {
  const sound: BackedClaim[] = []
  const refused: SignedBatch['refused'] = []
  for (const claim of claims) {
    const fault = claimFault(claim, grounds)
    if (fault) refused.push({ sessionId: claim.sessionId, ...fault })
    else sound.push(claim)
  }
  return { sound, refused }
}
