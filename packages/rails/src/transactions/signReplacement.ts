import { invariant } from '@orien/protocol'
import { type Hex, parseTransaction, type TransactionSerializedEIP1559 } from 'viem'
import type { GasPrice } from './readFees.ts'
import type { SignedTransaction, Signer } from './signer.ts'

/** What signed bytes offer for gas, and which nonce they take. Fees in wei per unit of gas. */
export function priceOf(raw: Hex): GasPrice & { nonce: number; gas: bigint } {
  const { maxFeePerGas = 0n, maxPriorityFeePerGas = 0n, nonce = 0, gas = 0n } = read(raw)
  return { maxFeePerGas, maxPriorityFeePerGas, nonce, gas }
}

/**
 * Signs the same action with the same nonce at another price. Everything but the fees comes from the signed bytes
 * themselves, so no other action can take this nonce.
 *
 * @example
 * const { raw, hash } = await signReplacement(signer, stuck.raw, { maxFeePerGas, maxPriorityFeePerGas })
 */
export async function signReplacement(signer: Signer, raw: Hex, price: GasPrice): Promise<SignedTransaction> {
  const { chainId, to, data = '0x', value: valueWei = 0n, nonce = 0, gas } = read(raw)
  invariant(chainId && to && gas, 'what was signed names its chain, its target and its gas')
  const { maxFeePerGas, maxPriorityFeePerGas } = price
  return signer.sign({ chainId, to, data, valueWei, nonce, gas, maxFeePerGas, maxPriorityFeePerGas })
}

const read = (raw: Hex) => parseTransaction(raw as TransactionSerializedEIP1559)
