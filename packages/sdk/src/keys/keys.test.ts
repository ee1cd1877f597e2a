import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { base64url, type Hex, SECP256K1_HALF_ORDER, toHex } from '@orien/protocol'
import fc from 'fast-check'
import { recoverAddress } from 'viem'
import { privateKeyToAccount, sign as signByViem } from 'viem/accounts'
import { describe, expect, it } from 'vitest'
import { publicKeyOfSeed, signWithSeed, verifyEd25519, verifyEd25519Portable } from './ed25519.ts'
import { addressOfKey, recoverSigner, signDigest } from './secp256k1.ts'
import { startSha256 } from './sha256.ts'

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const digest = bytes32.map(toHex)
const ORDER = SECP256K1_HALF_ORDER * 2n + 1n
const privateKey = fc
  .bigInt({ min: 1n, max: ORDER - 1n })
  .map((value) => `0x${value.toString(16).padStart(64, '0')}` as Hex)

describe('a secp256k1 signature', () => {
  it('is that of viem, byte for byte, for any key and digest', async () => {
    await fc.assert(
      fc.asyncProperty(privateKey, digest, async (key, hash) => {
        expect(signDigest(key, hash)).toBe(await signByViem({ privateKey: key, hash, to: 'hex' }))
        expect(addressOfKey(key)).toBe(privateKeyToAccount(key).address.toLowerCase())
      }),
      { numRuns: 25 },
    )
  })

  it('recovers to its signer, as viem says too', async () => {
    await fc.assert(
      fc.asyncProperty(privateKey, digest, async (key, hash) => {
        const signature = signDigest(key, hash)
        expect(recoverSigner(hash, signature)).toBe(addressOfKey(key))
        expect((await recoverAddress({ hash, signature })).toLowerCase()).toBe(addressOfKey(key))
      }),
      { numRuns: 25 },
    )
  })

  it('has one form: its twin with a high s is refused, although it recovers to the same signer', async () => {
    const hash = toHex(new Uint8Array(32).fill(7))
    const key = toHex(new Uint8Array(32).fill(9))
    const signature = signDigest(key, hash)
    const s = ORDER - BigInt(`0x${signature.slice(66, 130)}`)
    const v = signature.endsWith('1b') ? '1c' : '1b'
    const twin = `${signature.slice(0, 66)}${s.toString(16).padStart(64, '0')}${v}` as Hex
    expect((await recoverAddress({ hash, signature: twin })).toLowerCase()).toBe(addressOfKey(key))
    expect(recoverSigner(hash, twin)).toBeNull()
  })

  it('of any bytes recovers to someone or to nobody, never throws', () => {
    const signature = fc.uint8Array({ minLength: 65, maxLength: 65 }).map(toHex)
    const plausible = fc.tuple(bytes32, bytes32, fc.constantFrom(27, 28)).map(([r, s, v]) => {
      s[0] = (s[0] ?? 0) % 0x7f
      return toHex(new Uint8Array([...r, ...s, v]))
    })
    fc.assert(
      fc.property(digest, fc.oneof(signature, plausible), (hash, text) => {
        const signer = recoverSigner(hash, text)
        if (signer !== null) expect(signer).toMatch(/^0x[0-9a-f]{40}$/)
      }),
    )
    expect(recoverSigner(`0x${'11'.repeat(32)}`, `0x${'00'.repeat(64)}1b`)).toBeNull()
  })
})

describe('an Ed25519 signature', () => {
  const seed = new Uint8Array(32).fill(3)
  const publicKey = publicKeyOfSeed(seed)
  const data = new TextEncoder().encode('receipt')
  const signature = signWithSeed(seed)(data)

  it('is that of Node for the same seed, and verified by both implementations', () => {
    fc.assert(
      fc.property(bytes32, fc.uint8Array(), (secret, message) => {
        const key = publicKeyOfSeed(secret)
        const signed = signWithSeed(secret)(message)
        expect(verifyEd25519(key, message, signed)).toBe(true)
        expect(verifyEd25519Portable(key, message, signed)).toBe(true)
      }),
      { numRuns: 15 },
    )
    const pair = generateKeyPairSync('ed25519')
    const jwk = pair.privateKey.export({ format: 'jwk' })
    const theirs = new Uint8Array(Buffer.from(String(jwk.d), 'base64url'))
    expect(publicKeyOfSeed(theirs)).toBe(jwk.x)
    expect(signWithSeed(theirs)(data)).toEqual(new Uint8Array(sign(null, data, pair.privateKey)))
  })

  it('follows the first test vector of RFC 8032', () => {
    const secret = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')
    expect(Buffer.from(publicKeyOfSeed(secret), 'base64url').toString('hex')).toBe(
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    )
    expect(Buffer.from(signWithSeed(secret)(new Uint8Array())).toString('hex')).toBe(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    )
  })

  const verifiers = [
    ['OpenSSL', verifyEd25519],
    ['JavaScript', verifyEd25519Portable],
  ] as const
  describe.each(verifiers)('verified by %s', (_, verify) => {
    it('is refused with any one bit changed, in signature, data or key', () => {
      const flip = (bytes: Uint8Array, bit: number) =>
        bytes.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
      const raw = Buffer.from(publicKey, 'base64url')
      for (let bit = 0; bit < 512; bit += 37)
        expect(verify(publicKey, data, flip(signature, bit))).toBe(false)
      for (let bit = 0; bit < data.length * 8; bit += 11)
        expect(verify(publicKey, flip(data, bit), signature)).toBe(false)
      for (let bit = 0; bit < 256; bit += 37)
        expect(verify(base64url(flip(raw, bit)), data, signature)).toBe(false)
    })

    it('is refused with a scalar beyond the group’s order, which would be a second spelling', () => {
      const order = 2n ** 252n + 27742317777372353535851937790883648493n
      const scalar = BigInt(`0x${Buffer.from(signature.slice(32)).reverse().toString('hex')}`) + order
      const second = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex').reverse()
      expect(verify(publicKey, data, new Uint8Array([...signature.slice(0, 32), ...second]))).toBe(false)
    })

    it('is refused, not thrown on, with keys and signatures that are none', () => {
      for (const key of [
        '',
        'A',
        publicKey.slice(1),
        `${publicKey}A`,
        '*'.repeat(43),
        base64url(new Uint8Array(32).fill(255)),
      ]) {
        expect(verify(key, data, signature)).toBe(false)
      }
      for (const length of [0, 63, 65]) expect(verify(publicKey, data, new Uint8Array(length))).toBe(false)
    })
  })
})

describe('a running SHA-256', () => {
  it('is the hash of all pieces, however they were cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (pieces) => {
        const hash = startSha256()
        for (const piece of pieces) hash.update(piece)
        expect(hash.finish()).toBe(createHash('sha256').update(Buffer.concat(pieces)).digest('hex'))
      }),
    )
  })
})
