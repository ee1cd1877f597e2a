import type { BillCrypto } from '@orien/protocol'
import { verifyEd25519 } from '../keys/ed25519.ts'
import { recoverSigner } from '../keys/secp256k1.ts'

/** The signature checks that a bill needs: Ed25519 (OpenSSL where there is one) and secp256k1 recovery. */
export function billCrypto(): BillCrypto {
  return { verifyEd25519, recoverAddress: recoverSigner }
}
