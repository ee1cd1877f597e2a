import { bytesToHex, type Hex } from 'viem'

/** 32 random bytes: a nonce, or a name that nobody else chooses. */
export function randomWord(): Hex {
  return bytesToHex(crypto.getRandomValues(new Uint8Array(32)))
}
