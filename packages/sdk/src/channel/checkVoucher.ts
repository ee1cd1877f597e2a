import {
  type ChannelTerms,
  channelId,
  type ErrorCode,
  isCanonicalSignature,
  type UsdcMicros,
  type Voucher,
  voucherDigest,
} from '@orien/protocol'
import { recoverSigner } from '../keys/secp256k1.ts'

/** The outcome of a check before work is begun: fine, or the code to refuse with. */
export type Checked = { ok: true } | { ok: false; code: ErrorCode; detail: string }

const refuse = (code: ErrorCode, detail: string): Checked => ({ ok: false, code, detail })

/**
 * Whether a voucher is signed by the channel's authorised signer, in the one canonical form, and covers an amount.
 * Recovered by `ecrecover` alone, whatever code the signer's address has (an EIP-7702 delegation must not void it).
 *
 * @returns `voucher_invalid` or `voucher_required`
 */
export function checkVoucher(terms: ChannelTerms, voucher: Voucher, neededMicros: UsdcMicros): Checked {
  if (!isCanonicalSignature(voucher.signature)) {
    return refuse('voucher_invalid', 'the signature is not in canonical form (low s, v 27 or 28)')
  }
  const digest = voucherDigest(terms, channelId(terms), voucher.cumulativeMicros)
  if (recoverSigner(digest, voucher.signature) !== terms.authorizedSigner) {
    return refuse('voucher_invalid', 'the signature is not by the channel’s authorised signer')
  }
  if (voucher.cumulativeMicros < neededMicros) {
    return refuse('voucher_required', `the voucher covers ${voucher.cumulativeMicros} of ${neededMicros}`)
  }
  return { ok: true }
}
