import { type Hex, SECP256K1_HALF_ORDER, toHex } from '@orien/protocol'
import fc from 'fast-check'
import { recoverAddress } from 'viem'
import { describe, expect, it } from 'vitest'
import {
  addressOfKey,
  recoverSigner,
  recoverSignerPortable,
  secp256k1Engine,
  signDigest,
  signDigestPortable,
} from './secp256k1.ts'

const ORDER = SECP256K1_HALF_ORDER * 2n + 1n
const FIELD = 2n ** 256n - 2n ** 32n - 977n
const word = (value: bigint) => value.toString(16).padStart(64, '0')

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
const digest = bytes32.map(toHex)
const privateKey = fc.bigInt({ min: 1n, max: ORDER - 1n }).map((value) => `0x${word(value)}` as Hex)
const EDGES = [
  0n,
  1n,
  2n,
  SECP256K1_HALF_ORDER,
  SECP256K1_HALF_ORDER + 1n,
  ORDER - 1n,
  ORDER,
  ORDER + 1n,
  FIELD,
]
const scalar = fc.oneof(
  fc.constantFrom(...EDGES, FIELD - 1n, FIELD + 1n, 2n ** 256n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
  // What an honest signer makes: below the order, s in its lower half.
  fc.bigInt({ min: 1n, max: SECP256K1_HALF_ORDER }),
)
const parity = fc.constantFrom('00', '01', '02', '1a', '1b', '1c', '1d', '1e', '25', '26', '80', 'ff')
const assembled = fc.tuple(scalar, scalar, parity).map(([r, s, v]) => `0x${word(r)}${word(s)}${v}` as Hex)

/** A true signature and what an attacker may make of it. */
const twisted = fc.tuple(privateKey, digest, fc.nat(7), fc.nat(519)).map(([key, hash, how, bit]) => {
  const signature = signDigestPortable(key, hash)
  const s = BigInt(`0x${signature.slice(66, 130)}`)
  const r = signature.slice(2, 66)
  const v = signature.slice(130)
  const other = v === '1b' ? '1c' : '1b'
  const forms = [
    signature,
    `0x${r}${word(s)}${other}`,
    `0x${r}${word(ORDER - s)}${other}`,
    `0x${r}${word(ORDER - s)}${v}`,
    `0x${r}${word(s)}${v === '1b' ? '00' : '01'}`,
    signature.toUpperCase().replace('X', 'x'),
    `${signature}00`,
    flip(signature, bit),
  ]
  return { hash, signature: forms[how] as Hex }
})

function flip(signature: Hex, bit: number): string {
  const bytes = Buffer.from(signature.slice(2), 'hex')
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return `0x${bytes.toString('hex')}`
}

const anything = fc.oneof(
  twisted,
  fc.record({ hash: digest, signature: assembled }),
  fc.record({ hash: digest, signature: fc.uint8Array({ minLength: 65, maxLength: 65 }).map(toHex) }),
  fc.record({ hash: digest, signature: fc.string({ maxLength: 140 }).map((text) => `0x${text}` as Hex) }),
)

/** viem's answer, for the one accepted form. */
async function byViem(hash: Hex, signature: Hex): Promise<Hex | null> {
  const isAccepted =
    /^0x[0-9a-f]{128}1[bc]$/.test(signature) &&
    BigInt(`0x${signature.slice(66, 130)}`) <= SECP256K1_HALF_ORDER
  if (!isAccepted) return null
  return recoverAddress({ hash, signature }).then(
    (address) => address.toLowerCase() as Hex,
    () => null,
  )
}

describe('the two implementations of secp256k1', () => {
  it('are really two where a prebuilt library exists', () => {
    const isPrebuilt = ['linux-x64', 'darwin-arm64', 'win32-x64'].includes(
      `${process.platform}-${process.arch}`,
    )
    expect(secp256k1Engine).toBe(isPrebuilt ? 'native' : 'javascript')
  })

  it('and viem name the same signer, or nobody, for true, twisted, assembled and random signatures', async () => {
    await fc.assert(
      fc.asyncProperty(anything, async ({ hash, signature }) => {
        const signer = recoverSignerPortable(hash, signature)
        expect(recoverSigner(hash, signature)).toBe(signer)
        expect(await byViem(hash, signature)).toBe(signer)
      }),
      { numRuns: 300 },
    )
  })

  it('make the same bytes of the same key and digest', () => {
    fc.assert(
      fc.property(privateKey, digest, (key, hash) => {
        expect(signDigest(key, hash)).toBe(signDigestPortable(key, hash))
      }),
      { numRuns: 60 },
    )
  })

  it('give a true signature with the other v to somebody else, as the contract would', () => {
    fc.assert(
      fc.property(privateKey, digest, (key, hash) => {
        const signature = signDigest(key, hash)
        const other = `${signature.slice(0, 130)}${signature.endsWith('1b') ? '1c' : '1b'}` as Hex
        expect(recoverSigner(hash, signature)).toBe(addressOfKey(key))
        for (const recover of [recoverSigner, recoverSignerPortable]) {
          expect(recover(hash, other)).not.toBe(addressOfKey(key))
        }
      }),
      { numRuns: 40 },
    )
  })
})
