import { createHash } from 'node:crypto'
import { hexToBytes } from '@noble/hashes/utils.js'
import fc from 'fast-check'
import { keccak256 } from 'viem'
import { describe, expect, it } from 'vitest'
import * as bytes from './bytes.ts'

describe('hex', () => {
  it('is read by the runtime as by the portable table: whole, and damaged by any character', () => {
    const good = fc.uint8Array({ minLength: 1, maxLength: 80 }).map(bytes.toHex)
    const strange = fc.constantFrom('g', ' ', '\n', '', '\u0130', '\u0161', '\ud835', 'A', '-', 'x')
    const outcomeOf = (read: () => Uint8Array) => {
      try {
        return read()
      } catch {
        return 'refused'
      }
    }
    fc.assert(
      fc.property(good, fc.nat(160), strange, (text, at, put) => {
        const damaged = `0x${text.slice(2, 2 + at)}${put}${text.slice(3 + at)}` as const
        for (const given of [text, damaged])
          expect(outcomeOf(() => bytes.fromHex(given))).toEqual(outcomeOf(() => hexToBytes(given.slice(2))))
      }),
    )
  })
})

describe('base64url', () => {
  it('is that of Node for any bytes, and comes back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
        const text = bytes.base64url(data)
        expect(text).toBe(Buffer.from(data).toString('base64url'))
        expect(bytes.fromBase64url(text)).toEqual(data)
      }),
    )
  })

  it('of a megabyte does not overflow the stack', () => {
    expect(bytes.base64url(new Uint8Array(1_048_576))).toHaveLength(1_398_102)
  })

  it('has one spelling: trailing bits, padding and other alphabets are refused', () => {
    for (const text of ['QQ==', 'QR', 'QQ+', 'Q', 'QQ\n', 'Q Q', '+/', 'é']) {
      expect(bytes.fromBase64url(text)).toBeNull()
    }
    expect(bytes.fromBase64url('QQ')).toEqual(new Uint8Array([0x41]))
    expect(bytes.fromBase64url('')).toEqual(new Uint8Array())
  })

  it('is read alike by the runtime and by the portable table, long or short, whole or damaged', () => {
    const good = fc.uint8Array({ minLength: 60, maxLength: 400 }).map(bytes.base64url)
    const strange = fc.constantFrom('=', '+', '/', ' ', '\n', 'é', 'A', '_', '-', '')
    fc.assert(
      fc.property(good, fc.nat(500), strange, (text, at, put) => {
        const damaged = text.slice(0, at) + put + text.slice(at + 1)
        for (const given of [text, damaged, `${text}=`, text.slice(1)]) {
          expect(bytes.fromBase64url(given)).toEqual(bytes.fromBase64urlPortable(given))
        }
      }),
    )
  })

  it('of any text is read or refused, and what is read has that text alone', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String()), (text) => {
        const data = bytes.fromBase64url(text)
        if (data) expect(bytes.base64url(data)).toBe(text)
      }),
    )
  })
})

describe('hashes and hex', () => {
  it('agree with Node and viem for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
        expect(bytes.sha256Hex(data)).toBe(createHash('sha256').update(data).digest('hex'))
        expect(bytes.toHex(bytes.sha256Bytes(data))).toBe(`0x${bytes.sha256Hex(data)}`)
        expect(bytes.keccak(data)).toBe(keccak256(data))
        expect(bytes.fromHex(bytes.toHex(data))).toEqual(data)
      }),
    )
  })

  it('of a text are those of its UTF-8', () => {
    expect(bytes.sha256Hex('naïve')).toBe(bytes.sha256Hex(bytes.utf8('naïve')))
  })
})

describe('wire forms', () => {
  const word = `0x${'ab'.repeat(32)}`

  it('an address is taken in any case and kept in small letters', () => {
    expect(bytes.address.parse(`0x${'Ab'.repeat(20)}`)).toBe(`0x${'ab'.repeat(20)}`)
    for (const text of [
      '0xab',
      `0x${'ab'.repeat(21)}`,
      'ab'.repeat(20),
      `0X${'ab'.repeat(20)}`,
      `0x${'zz'.repeat(20)}`,
    ]) {
      expect(bytes.address.safeParse(text).success).toBe(false)
    }
  })

  it('words, signatures and hashes have one spelling: small letters, their exact length', () => {
    expect(bytes.bytes32.safeParse(word).success).toBe(true)
    expect(bytes.bytes32.safeParse(word.toUpperCase()).success).toBe(false)
    expect(bytes.bytes32.safeParse(`${word}00`).success).toBe(false)
    expect(bytes.signature.safeParse(`0x${'ab'.repeat(65)}`).success).toBe(true)
    expect(bytes.signature.safeParse(`0x${'AB'.repeat(65)}`).success).toBe(false)
    expect(bytes.signature.safeParse(`0x${'ab'.repeat(64)}`).success).toBe(false)
    expect(bytes.sha256Schema.safeParse('ab'.repeat(32)).success).toBe(true)
    expect(bytes.sha256Schema.safeParse(word).success).toBe(false)
  })

  it('a node key is accepted exactly when it is canonical base64url of 32 bytes', () => {
    const text = fc.oneof(
      fc.uint8Array({ minLength: 30, maxLength: 34 }).map(bytes.base64url),
      fc.string({
        unit: fc.constantFrom(...'AEIMQUYcgkosw048-_Bb1'.split('')),
        minLength: 43,
        maxLength: 43,
      }),
    )
    fc.assert(
      fc.property(text, (value) => {
        expect(bytes.ed25519Key.safeParse(value).success).toBe(bytes.fromBase64url(value)?.length === 32)
      }),
    )
  })
})
