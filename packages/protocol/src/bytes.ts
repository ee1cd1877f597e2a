import { sha256 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { z } from 'zod'
import { nativeBase64url, nativeHash, nativeHex } from './native.ts'

/** Hex with `0x`, lower case. */
export type Hex = `0x${string}`

/** SHA-256 of bytes or of a string's UTF-8, as 64 hex digits without prefix. */
export function sha256Hex(data: Uint8Array | string): string {
  if (nativeHash) return nativeHash('sha256', data)
  return bytesToHex(sha256(typeof data === 'string' ? utf8(data) : data))
}

/** SHA-256 as bytes. */
export function sha256Bytes(data: Uint8Array | string): Uint8Array {
  return sha256(typeof data === 'string' ? utf8(data) : data)
}

/** Keccak-256 of bytes, as `0x` hex. */
export function keccak(data: Uint8Array): Hex {
  return `0x${bytesToHex(keccak_256(data))}`
}

/** Bytes of a `0x` hex string. */
export function fromHex(hex: Hex): Uint8Array {
  const digits = hex.slice(2)
  return nativeHex?.(digits) ?? hexToBytes(digits)
}

/** `0x` hex of bytes. */
export function toHex(bytes: Uint8Array): Hex {
  return `0x${bytesToHex(bytes)}`
}

const encoder = new TextEncoder()

/** UTF-8 bytes of a string. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const NO_DIGIT = 0xff
const DIGITS = new Uint8Array(128).fill(NO_DIGIT)
for (let digit = 0; digit < 64; digit += 1) DIGITS[BASE64URL.charCodeAt(digit)] = digit

/** RFC 4648 base64url without padding. */
export function base64url(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += 8192) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192))
  }
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/** Characters from which on the call into the runtime is cheaper than the table. */
const NATIVE_FROM = 128

/** Reads RFC 4648 base64url without padding; null when it is not canonical. */
export function fromBase64url(text: string): Uint8Array | null {
  if (!nativeBase64url || text.length < NATIVE_FROM) return fromBase64urlPortable(text)
  const { bytes, again } = nativeBase64url(text)
  return again === text ? bytes : null
}

/** {@link fromBase64url} by a table: `atob` and a check that encodes again took twice as long. */
export function fromBase64urlPortable(text: string): Uint8Array | null {
  const { length } = text
  if (length % 4 === 1) return null
  const bytes = new Uint8Array((length * 6) >> 3)
  let bits = 0
  let held = 0
  let to = 0
  for (let at = 0; at < length; at += 1) {
    const digit = DIGITS[text.charCodeAt(at)] ?? NO_DIGIT
    if (digit === NO_DIGIT) return null
    held = ((held << 6) | digit) & 0xffff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    bytes[to] = held >> bits
    to += 1
  }
  // Trailing bits that decode to nothing would let one signature have several spellings.
  return (held & ((1 << bits) - 1)) === 0 ? bytes : null
}

/** A 20-byte address, any case on input, lower case inside. */
export const address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, 'must be a 20-byte hex address')
  .toLowerCase() as unknown as z.ZodType<Hex, string>

/** A 32-byte word, lower-case hex. */
export const bytes32 = z
  .string()
  .regex(/^0x[0-9a-f]{64}$/, 'must be 32 bytes of lower-case hex') as unknown as z.ZodType<Hex, string>

/** A 65-byte signature r ‖ s ‖ v, lower-case hex. */
export const signature = z
  .string()
  .regex(/^0x[0-9a-f]{130}$/, 'must be a 65-byte signature in lower-case hex') as unknown as z.ZodType<
  Hex,
  string
>

/** A SHA-256, 64 lower-case hex digits. */
export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex')

/** The form of {@link ed25519Key}: 43 characters, of which the last carries only four bits. */
export const ED25519_KEY = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/** A raw Ed25519 public key, base64url. */
export const ed25519Key = z.string().regex(ED25519_KEY, 'must be an Ed25519 public key in base64url')
