import { secp256k1 } from '@noble/curves/secp256k1.js'
import {
  addressOfPublicKey,
  fromHex,
  type Hex,
  type RecoverKey,
  recoverAddressBy,
  toHex,
} from '@orien/protocol'
import { nativeSecp256k1 } from './nativeSecp256k1.ts'

/** What checks and makes wallet signatures here: libsecp256k1 where it can be had, else JavaScript. */
export const secp256k1Engine: 'native' | 'javascript' = nativeSecp256k1 ? 'native' : 'javascript'

/**
 * The address of a secp256k1 private key, lower case.
 *
 * @param privateKey 32 bytes
 */
export function addressOfKey(privateKey: Hex): Hex {
  return addressOfPublicKey(secp256k1.getPublicKey(fromHex(privateKey), false))
}

/**
 * Signs a 32-byte digest: r ‖ s ‖ v with low s and v 27 or 28, the one form that contract and node accept (EIP-2).
 * Deterministic (RFC 6979): the same key and digest give the same signature.
 *
 * @example
 * signDigest(sessionKey, voucherDigest(terms, channelId(terms), micros(0n)))
 */
export function signDigest(privateKey: Hex, digest: Hex): Hex {
  if (!nativeSecp256k1) return signDigestPortable(privateKey, digest)
  const { signature, recid } = nativeSecp256k1.ecdsaSign(fromHex(digest), fromHex(privateKey))
  return joined(signature, recid)
}

/** {@link signDigest} in JavaScript: any runtime. */
export function signDigestPortable(privateKey: Hex, digest: Hex): Hex {
  const signed = secp256k1.sign(fromHex(digest), fromHex(privateKey), { prehash: false, format: 'recovered' })
  return joined(signed.subarray(1), signed[0] ?? 0)
}

const joined = (compact: Uint8Array, recovery: number) =>
  `${toHex(compact)}${(27 + recovery).toString(16)}` as Hex

const recoverInJavaScript: RecoverKey = (digest, compact, recovery) => {
  const recovered = new Uint8Array([recovery, ...compact])
  const key = secp256k1.recoverPublicKey(recovered, digest, { prehash: false })
  return secp256k1.Point.fromBytes(key).toBytes(false)
}

function fastest(native: typeof nativeSecp256k1): RecoverKey {
  if (!native) return recoverInJavaScript
  return (digest, compact, recovery) => native.ecdsaRecover(compact, recovery, digest, false)
}

const recoverKey = fastest(nativeSecp256k1)

/**
 * The address that signed a digest, lower case.
 *
 * @returns null for a signature that is not canonical or recovers to no key
 */
export function recoverSigner(digest: Hex, signature: Hex): Hex | null {
  return recoverAddressBy(recoverKey, digest, signature)
}

/** {@link recoverSigner} in JavaScript: any runtime, about thirty times slower. */
export function recoverSignerPortable(digest: Hex, signature: Hex): Hex | null {
  return recoverAddressBy(recoverInJavaScript, digest, signature)
}
