import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { base64url, fromBase64url, utf8 } from './bytes.ts'
import { canonicalJson, type Json } from './canonicalJson.ts'
import { decodeJws, isSignedBy, type JwsType, jwsHash, makeJws } from './jws.ts'
import { crypto, makeNodeKey } from './testing/keys.ts'

const key = makeNodeKey()
const TYPE: JwsType = 'orien-receipt+jws'
const payload = { v: 1, text: 'naïve ✓', list: [1, 2], none: null }
const jws = makeJws(TYPE, key.publicKey, payload, key.sign)
const [header = '', body = '', signature = ''] = jws.split('.')

const encode = (value: Json) => base64url(utf8(canonicalJson(value)))
const encodeText = (text: string) => base64url(utf8(text))

function accepts(text: string): boolean {
  const decoded = decodeJws(TYPE, text)
  return decoded !== null && isSignedBy(decoded, key.publicKey, crypto.verifyEd25519)
}

/** Signs whatever parts it is given, as a dishonest holder of the key could. */
function signParts(headerPart: string, payloadPart: string): string {
  const input = `${headerPart}.${payloadPart}`
  return `${input}.${base64url(key.sign(utf8(input)))}`
}

describe('a JWS', () => {
  it('is read back by its type and verified by its key', () => {
    expect(decodeJws(TYPE, jws)?.payload).toEqual(payload)
    expect(accepts(jws)).toBe(true)
  })

  it('is a plain RFC 7515 token with EdDSA and the key in its header', () => {
    expect(JSON.parse(new TextDecoder().decode(fromBase64url(header) ?? new Uint8Array()))).toEqual({
      alg: 'EdDSA',
      kid: key.publicKey,
      typ: TYPE,
    })
  })

  it('of one type is not one of another type', () => {
    const others = [
      'orien-offer+jws',
      'orien-countersignature+jws',
      'orien-node+jws',
      'orien-refunds+jws',
    ] as const
    for (const type of others) {
      expect(decodeJws(type, jws)).toBeNull()
    }
  })

  it('by another key is refused, and so is one that names another key than it was signed by', () => {
    const other = makeNodeKey()
    const decoded = decodeJws(TYPE, jws)
    expect(decoded && isSignedBy(decoded, other.publicKey, crypto.verifyEd25519)).toBe(false)
    expect(accepts(makeJws(TYPE, key.publicKey, payload, other.sign))).toBe(false)
    expect(accepts(makeJws(TYPE, other.publicKey, payload, key.sign))).toBe(false)
  })

  it('has a hash that covers its signature', () => {
    expect(jwsHash(jws)).toMatch(/^[0-9a-f]{64}$/)
    expect(jwsHash(jws)).not.toBe(jwsHash(`${header}.${body}.${base64url(new Uint8Array(64))}`))
  })
})

describe('a JWS with one byte changed', () => {
  it('is refused, wherever the byte is', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'
    const accepted: string[] = []
    for (let at = 0; at < jws.length; at += 1) {
      // The neighbour in the alphabet differs in the lowest bit, which a lax decoder would drop.
      const index = alphabet.indexOf(jws[at] ?? '')
      const put = alphabet[index ^ 1] ?? 'A'
      const changed = jws.slice(0, at) + put + jws.slice(at + 1)
      if (changed !== jws && accepts(changed)) accepted.push(`${at}: ${put}`)
    }
    expect(accepted).toEqual([])
  })

  it('or cut off, or with one more, is refused', () => {
    fc.assert(
      fc.property(
        fc.nat(jws.length),
        fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 2 }),
        (at, more) => {
          expect(accepts(jws.slice(0, at) + more + jws.slice(at))).toBe(false)
          if (at < jws.length) expect(accepts(jws.slice(0, at))).toBe(false)
        },
      ),
    )
  })
})

describe('a second spelling of a JWS, signed by the true key', () => {
  const cases: [string, string][] = [
    ['of a padded signature', `${jws}=`],
    ['with white space', `${jws}\n`],
    ['with a fourth part', `${jws}.`],
    ['without its signature', `${header}.${body}.`],
    ['with a signature of 63 bytes', `${header}.${body}.${base64url(new Uint8Array(63))}`],
    ['with a signature of 65 bytes', `${header}.${body}.${base64url(new Uint8Array(65))}`],
    ['with white space in its payload', signParts(header, encodeText('{"v": 1}'))],
    ['with unsorted members', signParts(header, encodeText('{"v":1,"a":2}'))],
    ['with a member twice', signParts(header, encodeText('{"v":1,"v":1}'))],
    ['with a byte order mark', signParts(header, encodeText('\uFEFF{"v":1}'))],
    ['with bytes that are no UTF-8', signParts(header, base64url(new Uint8Array([0x22, 0xff, 0x22])))],
    ['with an overlong encoding', signParts(header, base64url(new Uint8Array([0x22, 0xc1, 0x81, 0x22])))],
    ['with a lone surrogate', signParts(header, encodeText('"\\ud800"'))],
    ['with null for a payload', signParts(header, encodeText('null'))],
    ['with a payload that is no JSON', signParts(header, encodeText('v=1'))],
    ['with an empty payload', signParts(header, '')],
  ]
  it.each(cases)('%s is refused', (_, text) => {
    expect(accepts(text)).toBe(false)
  })

  const headers: [string, Json][] = [
    ['no algorithm', { kid: key.publicKey, typ: TYPE }],
    ['alg none', { alg: 'none', kid: key.publicKey, typ: TYPE }],
    ['alg in small letters', { alg: 'eddsa', kid: key.publicKey, typ: TYPE }],
    ['alg HS256', { alg: 'HS256', kid: key.publicKey, typ: TYPE }],
    ['a critical extension', { alg: 'EdDSA', crit: ['b64'], kid: key.publicKey, typ: TYPE }],
    ['a key of its own', { alg: 'EdDSA', jwk: { kty: 'OKP' }, kid: key.publicKey, typ: TYPE }],
    ['no type', { alg: 'EdDSA', kid: key.publicKey }],
    ['no key', { alg: 'EdDSA', typ: TYPE }],
    ['a number for a key', { alg: 'EdDSA', kid: 1, typ: TYPE }],
    ['a list for a header', ['EdDSA', key.publicKey, TYPE]],
    ['a text for a header', 'EdDSA'],
  ]
  it.each(headers)('with %s in its header is refused', (_, value) => {
    expect(accepts(signParts(encode(value), body))).toBe(false)
  })

  it('is what the cases above are about: the canonical one of the same parts is accepted', () => {
    expect(accepts(signParts(header, encode(payload)))).toBe(true)
  })

  it('nested beyond the stack is refused, not thrown on', () => {
    const deep = '['.repeat(20_000) + ']'.repeat(20_000)
    expect(decodeJws(TYPE, signParts(header, encodeText(deep)))).toBeNull()
    expect(decodeJws(TYPE, signParts(encodeText(deep), body))).toBeNull()
  })
})

describe('any text', () => {
  it('is read or refused as a JWS, never thrown on', () => {
    const part = fc.oneof(fc.string(), fc.base64String(), fc.constantFrom(header, body, signature))
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(part, { maxLength: 5 }).map((parts) => parts.join('.')),
    )
    fc.assert(
      fc.property(text, (value) => {
        const decoded = decodeJws(TYPE, value)
        if (decoded) expect(decoded.publicKey).toBeTypeOf('string')
      }),
    )
  })
})
