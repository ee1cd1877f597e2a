import { type Hex, isCanonicalSignature } from '@orien/protocol'
import { recoverAddress } from 'viem'

/** The address, lower case, that signed a digest; null for a signature in any but the one accepted form. */
export async function recoverSigner(digest: Hex, signature: Hex): Promise<Hex | null> {
  if (!isCanonicalSignature(signature)) return null
  try {
    return (await recoverAddress({ hash: digest, signature })).toLowerCase() as Hex
  } catch {
    // Not every r is the coordinate of a point; such a signature is nobody's.
    return null
  }
}
