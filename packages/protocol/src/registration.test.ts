import fc from 'fast-check'
import { hashTypedData } from 'viem'
import { describe, expect, it } from 'vitest'
import { base64url, type Hex, toHex } from './bytes.ts'
import { providerId } from './ids.ts'
import {
  deriveProviderId,
  type Registration,
  registrationDigest,
  registrationTypedData,
  registration as schema,
} from './registration.ts'
import { makeCast, makeRegistration } from './testing/bill.ts'
import { crypto, makeWallet, word } from './testing/keys.ts'

const cast = makeCast('registration')
const registration = makeRegistration(cast)
const hex = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(toHex)

describe('a provider’s id', () => {
  it('follows from payout address and salt, however the address is written', () => {
    const { payout, salt } = registration
    expect(deriveProviderId(payout, salt)).toBe(registration.providerId)
    expect(deriveProviderId(payout.toUpperCase().replace('0X', '0x') as Hex, salt)).toBe(
      registration.providerId,
    )
  })

  it('is a valid id for any owner, and another one for another owner or salt', () => {
    fc.assert(
      fc.property(hex(20), hex(20), hex(32), hex(32), (a, b, salt, other) => {
        const id = deriveProviderId(a, salt)
        expect(providerId.safeParse(id).success).toBe(true)
        if (a !== b) expect(deriveProviderId(b, salt)).not.toBe(id)
        if (salt !== other) expect(deriveProviderId(a, other)).not.toBe(id)
      }),
    )
  })
})

describe('a registration', () => {
  it('has the digest of viem for its typed data, so any wallet can sign it', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
    const nodeKey = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(base64url)
    const issuedAt = fc.integer({ min: 1, max: 2 ** 40 })
    fc.assert(
      fc.property(
        name,
        nodeKey,
        hex(20),
        hex(20),
        hex(32),
        issuedAt,
        (label, key, payout, operator, salt, at) => {
          const value: Registration = {
            providerId: deriveProviderId(payout, salt),
            name: label,
            payout,
            salt,
            nodeKey: key,
            operator,
            issuedAt: at,
          }
          const typed = registrationTypedData(value)
          const message = typed.message as Record<string, unknown>
          expect(registrationDigest(value)).toBe(hashTypedData({ ...typed, message }))
        },
      ),
    )
  })

  it('is signed by its owner and nobody else', () => {
    const digest = registrationDigest(registration)
    expect(crypto.recoverAddress(digest, cast.owner.signDigest(digest))).toBe(registration.payout)
    expect(crypto.recoverAddress(digest, cast.agent.signDigest(digest))).not.toBe(registration.payout)
  })

  it('has another digest as soon as one field is another', () => {
    const changes: Partial<Registration>[] = [
      { providerId: deriveProviderId(registration.payout, word('x')) },
      { name: 'Atelier Sud' },
      { payout: makeWallet('x').address },
      { salt: word('x') },
      { nodeKey: makeCast('x').node.publicKey },
      { operator: makeWallet('y').address },
      { issuedAt: registration.issuedAt + 1 },
    ]
    const digests = [registration, ...changes.map((change) => ({ ...registration, ...change }))].map(
      registrationDigest,
    )
    expect(new Set(digests).size).toBe(digests.length)
  })
})

describe('a registration on the wire', () => {
  const accepts = (change: object) => schema.safeParse({ ...registration, ...change }).success

  it('is taken as it is: a name is not trimmed behind its signature', () => {
    expect(accepts({})).toBe(true)
    for (const name of [' a', 'a ', '', '\n', 'a'.repeat(81), '\ud800']) expect(accepts({ name })).toBe(false)
  })

  it('has no field that is not signed', () => {
    expect(accepts({ website: 'https://example.com' })).toBe(false)
  })

  it('has a key of exactly 32 bytes', () => {
    expect(accepts({ nodeKey: 'A'.repeat(43) })).toBe(true)
    expect(accepts({ nodeKey: `${'A'.repeat(42)}B` })).toBe(false)
    expect(accepts({ nodeKey: 'A'.repeat(44) })).toBe(false)
  })
})
