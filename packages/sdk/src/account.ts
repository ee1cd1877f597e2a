import type { Hex } from '@orien/protocol'
import type { CallTransaction } from './keys/signTransaction.ts'

/** Typed data as EIP-712 wallets take it. */
export type TypedData = {
  domain: { name: string; version: string; chainId: number; verifyingContract?: Hex }
  types: Record<string, { name: string; type: string }[]>
  primaryType: string
  message: Record<string, unknown>
}

/** An agent's wallet: a viem `LocalAccount`, or anything of its shape. The key never leaves it. */
export type OrienAccount = {
  address: Hex
  /** EIP-191 `personal_sign`. Has to be deterministic (RFC 6979), because session keys are derived from it. */
  signMessage: (request: { message: string }) => Promise<Hex>
  signTypedData: (request: TypedData) => Promise<Hex>
  /** For a wallet that pays gas itself where a coordinator relays nothing for it yet; without it, that is an error. */
  signTransaction?: (transaction: CallTransaction & { type: 'eip1559' }) => Promise<Hex>
}
