import { secp256k1 } from '@noble/curves/secp256k1.js'
import {
  addressOfPublicKey,
  type ChannelTerms,
  channelId,
  fromHex,
  type Hex,
  keccak,
  toHex,
  type UsdcMicros,
  utf8,
  type Voucher,
  voucherDigest,
} from '@orien/protocol'
import { loadSecret } from '../keys.ts'
import type { Random } from '../random.ts'

/** The wallet that holds custodial balances, and the session keys of sessions that are paid from them. */
export type CustodyKey = {
  address: Hex
  sign: (digest: Hex) => Hex
  sessionAddress: (sessionId: string) => Hex
  signVoucher: (sessionId: string, terms: ChannelTerms, cumulativeMicros: UsdcMicros) => Voucher
}

const addressOf = (key: Uint8Array) => addressOfPublicKey(secp256k1.getPublicKey(key, false))

/** r ‖ s ‖ v, low s, deterministic (RFC 6979): a transfer that is signed again is the same transfer. */
function signWith(key: Uint8Array, digest: Hex): Hex {
  const signed = secp256k1.sign(fromHex(digest), key, { prehash: false, format: 'recovered' })
  return `${toHex(signed.subarray(1))}${(27 + (signed[0] ?? 0)).toString(16)}` as Hex
}

/**
 * Loads the custody wallet's key from a file of mode 0600, made at the first start. Every session key follows from it
 * and the session's id, so none is stored anywhere, and a database that leaks gives none away.
 */
export function loadCustodyKey(file: string, random: Random): CustodyKey {
  const secret = loadSecret(file, random)
  const wallet = keccak(Buffer.concat([secret, utf8('orien custody wallet')]))
  const sessionKey = (sessionId: string) =>
    fromHex(keccak(Buffer.concat([secret, utf8(`orien session ${sessionId}`)])))
  return {
    address: addressOf(fromHex(wallet)),
    sign: (digest) => signWith(fromHex(wallet), digest),
    sessionAddress: (sessionId) => addressOf(sessionKey(sessionId)),
    signVoucher: (sessionId, terms, cumulativeMicros) => {
      const digest = voucherDigest(terms, channelId(terms), cumulativeMicros)
      return { cumulativeMicros, signature: signWith(sessionKey(sessionId), digest) }
    },
  }
}
