import { canonicalJson, fromHex, type Hex, type Json, sha256Hex, utf8 } from '@orien/protocol'

/**
 * SHA-256 over salt and canonical arguments, as they were dispatched: whoever knows both can prove what was asked for,
 * and the receipt alone tells nobody.
 */
export function argumentsHash(salt: Hex, args: Readonly<Record<string, unknown>>): string {
  const text = utf8(canonicalJson(args as Json))
  const salted = new Uint8Array(32 + text.length)
  salted.set(fromHex(salt))
  salted.set(text, 32)
  return sha256Hex(salted)
}
