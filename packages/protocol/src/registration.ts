import { z } from 'zod'
import {
  address,
  bytes32,
  ed25519Key,
  fromBase64url,
  type Hex,
  sha256Bytes,
  signature,
  toHex,
} from './bytes.ts'
import { addressWord, bytes32Word, stringWord, typedDigest, uintWord } from './eip712.ts'
import { base32, ID_PREFIXES, type Id, providerId } from './ids.ts'
import { invariant } from './invariant.ts'

/**
 * What an owner's wallet signs once: this node key and this operator key act for me.
 * The provider's id is derived from the payout address and the salt, so an id names its payee by itself
 * and nobody can register under it with another wallet.
 */
export const registration = z.strictObject({
  providerId,
  name: z
    .string()
    .min(1)
    .max(80)
    // Refused, not trimmed: the owner signs these very bytes.
    .refine((name) => name.trim() === name && name.isWellFormed(), 'must not begin or end with a space'),
  payout: address,
  salt: bytes32,
  nodeKey: ed25519Key,
  operator: address,
  /** Unix seconds; a later registration replaces an earlier one. */
  issuedAt: z.int().positive(),
})
/** See {@link registration}. */
export type Registration = z.output<typeof registration>

/** A registration with its owner's signature. */
export const signedRegistration = z.strictObject({ registration, signature })
/** See {@link signedRegistration}. */
export type SignedRegistration = z.output<typeof signedRegistration>

/** The id that belongs to a payout address and a salt. */
export function deriveProviderId(payout: Hex, salt: Hex): Id<'provider'> {
  const digest = sha256Bytes(`orien provider ${payout.toLowerCase()} ${salt}`)
  return `${ID_PREFIXES.provider}_${base32(digest.slice(0, 16))}` as Id<'provider'>
}

/** The digest of the owner's typed registration. It is not bound to a chain: identity outlives chains. */
export function registrationDigest(value: Registration): Hex {
  const nodeKey = fromBase64url(value.nodeKey)
  invariant(nodeKey?.length === 32, 'a node key has 32 bytes')
  const type =
    'ProviderRegistration(string providerId,string name,address payout,bytes32 salt,bytes32 nodeKey,address operator,uint64 issuedAt)'
  return typedDigest({ name: 'ORIEN', version: '1', chainId: 0 }, type, [
    stringWord(value.providerId),
    stringWord(value.name),
    addressWord(value.payout),
    bytes32Word(value.salt),
    bytes32Word(toHex(nodeKey)),
    addressWord(value.operator),
    uintWord(BigInt(value.issuedAt)),
  ])
}

/**
 * A registration as a person compares it on two screens: 64 bits of its digest, which binds all of it.
 *
 * @example
 * fingerprintOf(registration) // "3f2a 91bc d04e 77a1"
 */
export function fingerprintOf(value: Registration): string {
  const words = registrationDigest(value).slice(2, 18).match(/.{4}/g)
  invariant(words !== null, 'a digest has 32 bytes')
  return words.join(' ')
}

/** The same as {@link registrationDigest} for wallets that take typed data (EIP-712) instead of a digest. */
export function registrationTypedData(value: Registration) {
  const nodeKey = fromBase64url(value.nodeKey)
  invariant(nodeKey?.length === 32, 'a node key has 32 bytes')
  return {
    domain: { name: 'ORIEN', version: '1', chainId: 0 },
    types: {
      ProviderRegistration: [
        { name: 'providerId', type: 'string' },
        { name: 'name', type: 'string' },
        { name: 'payout', type: 'address' },
        { name: 'salt', type: 'bytes32' },
        { name: 'nodeKey', type: 'bytes32' },
        { name: 'operator', type: 'address' },
        { name: 'issuedAt', type: 'uint64' },
      ],
    },
    primaryType: 'ProviderRegistration' as const,
    message: { ...value, nodeKey: toHex(nodeKey), issuedAt: BigInt(value.issuedAt) },
  }
}
