import { fromHex, type Hex, keccak } from './bytes.ts'
import { isCanonicalSignature } from './channel.ts'

/**
 * ECDSA public key recovery on secp256k1, brought by the caller: the protocol holds no cryptography but hashes.
 * Takes a 32-byte digest, r ‖ s and the parity of R; returns the uncompressed key of 65 bytes, or throws.
 */
export type RecoverKey = (digest: Uint8Array, compact: Uint8Array, recovery: 0 | 1) => Uint8Array

/**
 * The address that signed a digest, lower case: what `ecrecover` gives the contract.
 *
 * A key that is known already must not be used to *verify* instead: that ignores v, and a voucher with the wrong v is
 * somebody else's on the chain, after the work is done.
 *
 * @returns null for a signature in any but the one accepted form, or by no key
 * @example
 * recoverAddressBy(recoverNatively, voucherDigest(terms, id, cumulativeMicros), signature)
 */
export function recoverAddressBy(recover: RecoverKey, digest: Hex, signature: Hex): Hex | null {
  if (!isCanonicalSignature(signature)) return null
  const bytes = fromHex(signature)
  try {
    const key = recover(fromHex(digest), bytes.subarray(0, 64), bytes[64] === 27 ? 0 : 1)
    return addressOfPublicKey(key)
  } catch {
    // Not every r is the coordinate of a point; such a signature is nobody's.
    return null
  }
}

/** The address of an uncompressed public key (65 bytes), lower case. */
export function addressOfPublicKey(key: Uint8Array): Hex {
  return `0x${keccak(key.subarray(1)).slice(-40)}`
}
