import { createHash, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import type { BillCrypto } from '../bill.ts'
import { base64url, fromHex, type Hex, keccak, toHex } from '../bytes.ts'
import type { Ed25519Sign, Ed25519Verify } from '../jws.ts'

/** An Ed25519 pair made for one test. */
export type NodeKey = { publicKey: string; sign: Ed25519Sign }

const rawPublicKey = (key: KeyObject) => String(key.export({ format: 'jwk' }).x)

export function makeNodeKey(): NodeKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { publicKey: rawPublicKey(publicKey), sign: (data) => new Uint8Array(sign(null, data, privateKey)) }
}

/** A secp256k1 pair from a name, so that a failing test can be repeated. */
export type Wallet = { privateKey: Hex; address: Hex; signDigest: (digest: Hex) => Hex }

const addressOf = (publicKey: Uint8Array): Hex => `0x${keccak(publicKey.slice(1)).slice(-40)}`

export function makeWallet(name: string): Wallet {
  const secret = new Uint8Array(createHash('sha256').update(name).digest())
  return {
    privateKey: toHex(secret),
    address: addressOf(secp256k1.getPublicKey(secret, false)),
    signDigest: (digest) => {
      const signed = secp256k1.sign(fromHex(digest), secret, { prehash: false, format: 'recovered' })
      return `${toHex(signed.subarray(1))}${(27 + (signed[0] ?? 0)).toString(16)}` as Hex
    },
  }
}

const verifyEd25519: Ed25519Verify = (publicKey, data, signature) =>
  verify(null, data, { key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' }, signature)

function recoverAddress(digest: Hex, signature: Hex): Hex | null {
  const bytes = fromHex(signature)
  const recovered = new Uint8Array([(bytes[64] ?? 0) - 27, ...bytes.subarray(0, 64)])
  try {
    const compressed = secp256k1.recoverPublicKey(recovered, fromHex(digest), { prehash: false })
    return addressOf(secp256k1.Point.fromBytes(compressed).toBytes(false))
  } catch {
    return null
  }
}

/** Real signature checks. */
export const crypto: BillCrypto = { verifyEd25519, recoverAddress }

/** 32 bytes that follow from a name. */
export const word = (name: string): Hex => `0x${createHash('sha256').update(name).digest('hex')}`

/** A SHA-256 that follows from a name. */
export const digest = (name: string): string => createHash('sha256').update(name).digest('hex')

/** Base64url of some bytes, for a key that nobody holds. */
export const strangeKey = (byte: number): string => base64url(new Uint8Array(32).fill(byte))
