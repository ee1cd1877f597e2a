import { type Address, type Hex, toHex } from 'viem'
import { privateKeyToAddress } from 'viem/accounts'

/** Someone with a key, who signs and never sends. */
export type Signer = { address: Address; sign: (hash: Hex) => Hex }

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
/** The generator's x; its y is even. SEC 2, section 2.4.1. */
const generatorX = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n

/**
 * Valid ECDSA signatures at no cost: with 1 for the secret number of each signature, its point is the generator itself
 * and s = hash + x · key. One such signature gives the key away, which is all the same in a test; signing properly
 * took nine tenths of its time.
 */
export function quickSigner(privateKey: Hex): Signer {
  const key = BigInt(privateKey)
  const rx = toHex(generatorX, { size: 32 })
  return {
    address: privateKeyToAddress(privateKey).toLowerCase() as Address,
    sign: (hash) => {
      const s = (BigInt(hash) + generatorX * key) % order
      const isHigh = s > order / 2n
      const low = toHex(isHigh ? order - s : s, { size: 32 })
      return `${rx}${low.slice(2)}${isHigh ? '1c' : '1b'}` as Hex
    },
  }
}

/** The other signature of the same message: r, n − s, the other v. */
export function twin(signature: Hex): Hex {
  const s = toHex(order - BigInt(`0x${signature.slice(66, 130)}`), { size: 32 }).slice(2)
  return `${signature.slice(0, 66)}${s}${signature.endsWith('1b') ? '1c' : '1b'}` as Hex
}
