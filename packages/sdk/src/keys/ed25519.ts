import type { KeyObject } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { base64url, type Ed25519Sign, type Ed25519Verify, fromBase64url, invariant } from '@orien/protocol'
import { nodeCrypto } from './nodeCrypto.ts'

/** Parsed keys are kept, because parsing one costs as much as verifying with it. */
const MAX_PARSED_KEYS = 256
const parsedKeys = new Map<string, KeyObject>()

function parsedKey(crypto: NonNullable<typeof nodeCrypto>, publicKey: string): KeyObject {
  const known = parsedKeys.get(publicKey)
  if (known) return known
  const parsed = crypto.createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: publicKey },
    format: 'jwk',
  })
  const [oldest] = parsedKeys.keys()
  if (oldest !== undefined && parsedKeys.size >= MAX_PARSED_KEYS) parsedKeys.delete(oldest)
  parsedKeys.set(publicKey, parsed)
  return parsed
}

/** The public key of a raw 32-byte Ed25519 seed, base64url (RFC 8037 `x`). */
export function publicKeyOfSeed(seed: Uint8Array): string {
  invariant(seed.length === 32, 'an Ed25519 seed has 32 bytes')
  return base64url(ed25519.getPublicKey(seed))
}

/**
 * A signer for a raw 32-byte Ed25519 seed (RFC 8032).
 *
 * @example
 * signReceipt(receipt, publicKeyOfSeed(seed), signWithSeed(seed))
 */
export function signWithSeed(seed: Uint8Array): Ed25519Sign {
  invariant(seed.length === 32, 'an Ed25519 seed has 32 bytes')
  const crypto = nodeCrypto
  if (!crypto) return (data) => ed25519.sign(data, seed)
  const x = publicKeyOfSeed(seed)
  const key = crypto.createPrivateKey({
    key: { kty: 'OKP', crv: 'Ed25519', x, d: base64url(seed) },
    format: 'jwk',
  })
  return (data) => new Uint8Array(crypto.sign(null, data, key))
}

/** Verifies in JavaScript by the strict rules of RFC 8032: any runtime, about ten times slower than OpenSSL. */
export const verifyEd25519Portable: Ed25519Verify = (publicKey, data, signature) => {
  const raw = fromBase64url(publicKey)
  if (raw?.length !== 32 || signature.length !== 64) return false
  try {
    return ed25519.verify(signature, data, raw, { zip215: false })
  } catch {
    return false
  }
}

/** Verifies an Ed25519 signature: by OpenSSL where there is one, else {@link verifyEd25519Portable}. */
export const verifyEd25519: Ed25519Verify = (publicKey, data, signature) => {
  if (!nodeCrypto) return verifyEd25519Portable(publicKey, data, signature)
  if (fromBase64url(publicKey)?.length !== 32 || signature.length !== 64) return false
  try {
    return nodeCrypto.verify(null, data, parsedKey(nodeCrypto, publicKey), signature)
  } catch {
    return false
  }
}
