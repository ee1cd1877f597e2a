import { createRequire } from 'node:module'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { type Hex, type RecoverKey, recoverAddressBy } from '@orien/protocol'

type NativeSecp256k1 = {
  ecdsaRecover: (
    compact: Uint8Array,
    recovery: number,
    digest: Uint8Array,
    isCompressed: boolean,
  ) => Uint8Array
}

// Past the package's own index, which would fall back to a slower library unseen.
function loadNative(): NativeSecp256k1 | null {
  try {
    return createRequire(import.meta.url)('secp256k1/bindings.js') as NativeSecp256k1
  } catch {
    return null
  }
}

const native = loadNative()

/** What recovers signers here: libsecp256k1, or JavaScript on a platform without a prebuilt library. */
export const signatureEngine: 'native' | 'javascript' = native ? 'native' : 'javascript'

const recoverInJavaScript: RecoverKey = (digest, compact, recovery) => {
  const recovered = new Uint8Array([recovery, ...compact])
  const key = secp256k1.recoverPublicKey(recovered, digest, { prehash: false })
  return secp256k1.Point.fromBytes(key).toBytes(false)
}

const recoverKey: RecoverKey = native
  ? (digest, compact, recovery) => native.ecdsaRecover(compact, recovery, digest, false)
  : recoverInJavaScript

/** {@link recoverSigner} in JavaScript: any platform, about thirty times slower. */
export function recoverSignerPortable(digest: Hex, signature: Hex): Hex | null {
  return recoverAddressBy(recoverInJavaScript, digest, signature)
}

/** The address, lower case, that signed a digest; null for a signature in any but the one accepted form. */
export function recoverSigner(digest: Hex, signature: Hex): Hex | null {
  return recoverAddressBy(recoverKey, digest, signature)
}
