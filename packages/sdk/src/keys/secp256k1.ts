import { secp256k1 } from '@noble/curves/secp256k1.js'
import { fromHex, type Hex, isCanonicalSignature, keccak, toHex } from '@orien/protocol'

function addressOfPoint(publicKey: Uint8Array): Hex {
  return `0x${keccak(secp256k1.Point.fromBytes(publicKey).toBytes(false).slice(1)).slice(-40)}`
}

/**
 * The address of a secp256k1 private key, lower case.
 *
 * @param privateKey 32 bytes
 */
export function addressOfKey(privateKey: Hex): Hex {
  return addressOfPoint(secp256k1.getPublicKey(fromHex(privateKey), false))
}

/**
 * Signs a 32-byte digest: r ‖ s ‖ v with low s and v 27 or 28, the one form that contract and node accept (EIP-2).
 * Deterministic (RFC 6979): the same key and digest give the same signature.
 *
 * @example
 * signDigest(sessionKey, voucherDigest(terms, channelId(terms), micros(0n)))
 */
export function signDigest(privateKey: Hex, digest: Hex): Hex {
  const signed = secp256k1.sign(fromHex(digest), fromHex(privateKey), { prehash: false, format: 'recovered' })
  const [recovery = 0] = signed
  return `${toHex(signed.subarray(1))}${(27 + recovery).toString(16)}` as Hex
}

/**
 * The address that signed a digest, lower case.
 *
 * @returns null for a signature that is not canonical or recovers to no key
 */
export function recoverSigner(digest: Hex, signature: Hex): Hex | null {
  if (!isCanonicalSignature(signature)) return null
  const bytes = fromHex(signature)
  const recovered = new Uint8Array(65)
  recovered[0] = (bytes[64] ?? 0) - 27
  recovered.set(bytes.subarray(0, 64), 1)
  try {
    return addressOfPoint(secp256k1.recoverPublicKey(recovered, fromHex(digest), { prehash: false }))
  } catch {
    return null
  }
}
