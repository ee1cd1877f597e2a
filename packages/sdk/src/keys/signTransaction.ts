import { fromHex, type Hex, keccak } from '@orien/protocol'
import { signDigest } from './secp256k1.ts'

/** A call that moves no coin of its sender's. Gas in units, fees in wei per unit. */
export type CallTransaction = {
  chainId: number
  nonce: number
  to: Hex
  data: Hex
  gas: bigint
  maxFeePerGas: bigint
  maxPriorityFeePerGas: bigint
}

type Item = Hex | readonly Item[]

/**
 * Signs a transaction of type 2 (https://eips.ethereum.org/EIPS/eip-1559), without value and access list.
 *
 * @param privateKey 32 bytes
 * @returns the bytes to broadcast; their keccak-256 is the transaction's hash
 * @example
 * const raw = signTransaction(operatorKey, { chainId, nonce, to: escrow, data, gas, maxFeePerGas, maxPriorityFeePerGas })
 */
export function signTransaction(privateKey: Hex, transaction: CallTransaction): Hex {
  const { chainId, nonce, to, data, gas, maxFeePerGas, maxPriorityFeePerGas } = transaction
  const numbers = [BigInt(chainId), BigInt(nonce), maxPriorityFeePerGas, maxFeePerGas, gas].map(trimmed)
  const fields: Item[] = [...numbers, to, trimmed(0n), data, []]
  const signature = signDigest(privateKey, keccak(fromHex(envelope(fields))))
  const [r, s] = [signature.slice(2, 66), signature.slice(66, 130)].map((word) =>
    trimmed(BigInt(`0x${word}`)),
  )
  return envelope([...fields, trimmed(signature.endsWith('1c') ? 1n : 0n), r ?? '0x', s ?? '0x'])
}

const envelope = (fields: readonly Item[]): Hex => `0x02${rlp(fields)}`

/** A number without leading zeros; zero is the empty string. */
function trimmed(value: bigint): Hex {
  if (value === 0n) return '0x'
  const digits = value.toString(16)
  return `0x${digits.length % 2 === 0 ? digits : `0${digits}`}`
}

/** Recursive length prefixes (Ethereum's Yellow Paper, appendix B), in hex digits. */
function rlp(item: Item): string {
  if (typeof item !== 'string') return prefixed(item.map(rlp).join(''), 0xc0)
  const digits = item.slice(2)
  return digits.length === 2 && digits < '80' ? digits : prefixed(digits, 0x80)
}

function prefixed(digits: string, base: number): string {
  const bytes = digits.length / 2
  if (bytes <= 55) return `${byteOf(base + bytes)}${digits}`
  const length = trimmed(BigInt(bytes)).slice(2)
  return `${byteOf(base + 55 + length.length / 2)}${length}${digits}`
}

const byteOf = (value: number): string => value.toString(16).padStart(2, '0')
