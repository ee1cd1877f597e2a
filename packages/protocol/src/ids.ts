import { z } from 'zod'
import { invariant } from './invariant.ts'

/** What each prefix stands for. */
export const ID_PREFIXES = {
  session: 'ses',
  execution: 'exe',
  provider: 'prv',
  agent: 'agt',
  receipt: 'rcp',
  settlement: 'stl',
  payment: 'pay',
  event: 'evt',
  key: 'key',
  request: 'req',
} as const

/** A kind of thing that has an id. */
export type IdKind = keyof typeof ID_PREFIXES

/** An id of one kind, e.g. `ses_01jd…`: a prefix and 26 characters of lower-case Crockford base32. */
export type Id<K extends IdKind> = `${(typeof ID_PREFIXES)[K]}_${string}` & { readonly __kind: K }

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * 128 bits as 26 characters of lower-case Crockford base32, most significant first, so that
 * ids made of a time stamp sort by it. https://www.crockford.com/base32.html
 */
export function base32(bytes: Uint8Array): string {
  invariant(bytes.length === 16, 'an id has 128 bits')
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  let text = ''
  for (let index = 0; index < 26; index += 1) {
    text = ALPHABET.charAt(Number(value & 31n)) + text
    value >>= 5n
  }
  return text
}

/**
 * Makes an id: 48 bits of time, then 80 random bits. Pure: the caller brings both.
 *
 * @param nowMs milliseconds since 1970
 * @param random ten random bytes
 * @example
 * makeId('session', 0, new Uint8Array(10)) // "ses_00000000000000000000000000"
 */
export function makeId<K extends IdKind>(kind: K, nowMs: number, random: Uint8Array): Id<K> {
  invariant(random.length === 10, 'an id takes ten random bytes')
  const bytes = new Uint8Array(16)
  let rest = nowMs
  for (let index = 5; index >= 0; index -= 1) {
    bytes[index] = rest % 256
    rest = Math.floor(rest / 256)
  }
  bytes.set(random, 6)
  return `${ID_PREFIXES[kind]}_${base32(bytes)}` as Id<K>
}

function idSchema<K extends IdKind>(kind: K) {
  const prefix = ID_PREFIXES[kind]
  const pattern = new RegExp(`^${prefix}_[0-9a-hjkmnp-tv-z]{26}$`)
  // A cast, not a transform: a transform could not be encoded again.
  return z.string().regex(pattern, `must be an id like ${prefix}_… of 26 characters`) as unknown as z.ZodType<
    Id<K>,
    string
  >
}

/** Wire schemas of the ids. */
export const sessionId = idSchema('session')
/** `exe_…` */
export const executionId = idSchema('execution')
/** `prv_…` */
export const providerId = idSchema('provider')
/** `agt_…` */
export const agentId = idSchema('agent')
/** `stl_…` */
export const settlementId = idSchema('settlement')
/** `pay_…` */
export const paymentId = idSchema('payment')
/** `key_…` */
export const keyId = idSchema('key')
