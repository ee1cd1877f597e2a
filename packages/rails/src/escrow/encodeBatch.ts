import { orienEscrowAbi } from '@orien/contracts'
import {
  type BatchKind,
  type BatchTerms,
  invariant,
  isCanonicalSignature,
  type Voucher,
} from '@orien/protocol'
import { type Address, decodeFunctionData, encodeFunctionData, type Hex, slice, toHex } from 'viem'
import type { ContractCall } from './contractCall.ts'

/**
 * The claims of one provider that its payee or operator signed as one batch, each with the voucher that covers it.
 * `vouchers` are in the order of `terms.claims`; null for a channel that is closed without a further payment.
 */
export type SignedBatch = { terms: BatchTerms; signature: Hex; vouchers: readonly (Voucher | null)[] }

const noVoucher: Voucher = {
  cumulativeMicros: 0n as Voucher['cumulativeMicros'],
  signature: `0x${'00'.repeat(65)}`,
}

/**
 * Pays (`ClaimBatch`) or pays, refunds and ends (`CloseBatch`) the channels of many providers in one transaction. What
 * the escrow refuses is left out and named by its events (`readBatchLogs`); it stops nothing else.
 *
 * @throws InvariantViolation unless each claim has its voucher or null, and every signature is canonical
 * @example
 * const call = encodeBatch(escrow, 'CloseBatch', [{ terms, signature, vouchers }])
 */
export function encodeBatch(escrow: Address, kind: BatchKind, batches: readonly SignedBatch[]): ContractCall {
  const args = [batches.map(providerBatch)] as const
  const functionName = kind === 'ClaimBatch' ? 'claimBatch' : 'closeBatch'
  return { to: escrow, data: encodeFunctionData({ abi: orienEscrowAbi, functionName, args }) }
}

/** The channels of an encoded batch by provider, in the order in which the escrow answers for them; none of another call. */
export function channelsOfBatch(data: Hex): Hex[][] {
  const { functionName, args } = decodeFunctionData({ abi: orienEscrowAbi, data })
  if (functionName !== 'closeBatch' && functionName !== 'claimBatch') return []
  return args[0].map(({ claims }) => claims.map(({ channelId }) => channelId))
}

/**
 * Calls functions of the escrow one after the other in one transaction, each signed by its author; one that reverts is
 * left out. For deposits, top-ups, close requests and withdrawals: claims are cheaper in {@link encodeBatch}.
 *
 * @param gasPerCall what each call may spend; the transaction needs as much left at every call
 * @throws InvariantViolation when a call goes elsewhere
 */
export function encodeTryAll(
  escrow: Address,
  calls: readonly ContractCall[],
  gasPerCall: bigint,
): ContractCall {
  const areOurs = calls.every(({ to }) => to.toLowerCase() === escrow.toLowerCase())
  invariant(areOurs, 'tryAll calls the escrow itself and nothing else')
  const args = [calls.map(({ data }) => data), gasPerCall] as const
  return { to: escrow, data: encodeFunctionData({ abi: orienEscrowAbi, functionName: 'tryAll', args }) }
}

function providerBatch({ terms, signature, vouchers }: SignedBatch) {
  invariant(vouchers.length === terms.claims.length, 'each claim has its voucher or null')
  const claims = terms.claims.map(({ channelId, claimMicros }, index) => {
    const voucher = vouchers[index] ?? noVoucher
    const amounts = { claimAmount: claimMicros, voucherAmount: voucher.cumulativeMicros }
    return { channelId, ...amounts, ...fold(voucher.signature, voucher === noVoucher) }
  })
  const { payee, deadline } = terms
  return { payee, deadline: BigInt(deadline), ...fold(signature, false), claims }
}

/** r and vs of EIP-2098: s in 255 bits under the parity of v. https://eips.ethereum.org/EIPS/eip-2098 */
function fold(signature: Hex, isEmpty: boolean): { r: Hex; vs: Hex } {
  invariant(isEmpty || isCanonicalSignature(signature), 'a signature in canonical form')
  const parity = signature.endsWith('1c') ? 1n << 255n : 0n
  const vs = BigInt(slice(signature, 32, 64)) | parity
  return { r: slice(signature, 0, 32), vs: toHex(vs, { size: 32 }) }
}
