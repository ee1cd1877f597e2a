import {
  type ChannelTerms,
  channelId,
  type ExitAuthorization,
  fromHex,
  type Hex,
  keccak,
  type UsdcMicros,
  type Voucher,
  voucherDigest,
} from '@orien/protocol'
import type { OrienAccount } from '../account.ts'
import { signRequestClose } from '../channel/signClaim.ts'
import { addressOfKey, signDigest } from '../keys/secp256k1.ts'

/** Signs the vouchers of one session and the way out of its channel, and nothing else. */
export type SessionKey = {
  address: Hex
  signVoucher: (terms: ChannelTerms, cumulativeMicros: UsdcMicros) => Voucher
  /** The way out of the channel: anyone may relay it until the deadline (Unix seconds), and only the payer gets money by it. */
  signExit: (terms: ChannelTerms, nonce: Hex, deadline: number) => ExitAuthorization
}

/** What a wallet is asked to sign to make a session's key. Fixed: another text would be another key. */
export function sessionKeyMessage(sessionId: string): string {
  return [
    'ORIEN session key',
    '',
    'This signature makes the key that pays for one session, up to its deposit.',
    'Sign it only in a program that you trust with that deposit.',
    '',
    `Session: ${sessionId}`,
  ].join('\n')
}

/**
 * Derives a session's key from the wallet, so that an agent that lost its memory still has it: the Keccak-256 of a
 * deterministic signature is the private key. It never leaves the closure.
 */
export async function deriveSessionKey(account: OrienAccount, sessionId: string): Promise<SessionKey> {
  const signature = await account.signMessage({ message: sessionKeyMessage(sessionId) })
  const privateKey = keccak(fromHex(signature))
  return {
    address: addressOfKey(privateKey),
    signVoucher: (terms, cumulativeMicros) => ({
      cumulativeMicros,
      signature: signDigest(privateKey, voucherDigest(terms, channelId(terms), cumulativeMicros)),
    }),
    signExit: (terms, nonce, deadline) => {
      const request = { channelId: channelId(terms), nonce: BigInt(nonce), deadline }
      return { nonce, deadline, signature: signRequestClose(privateKey, terms, request) }
    },
  }
}
