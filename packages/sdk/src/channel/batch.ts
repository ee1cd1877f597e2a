import { orienEscrowAbi } from '@orien/contracts'
import {
  type BatchKind,
  type BatchTerms,
  type ChannelTerms,
  type Hex,
  invariant,
  isCanonicalSignature,
  keccak,
  type Voucher,
} from '@orien/protocol'
import { askChain, assertChain, chainClient } from './chainClient.ts'

type Place = Pick<ChannelTerms, 'chainId' | 'escrow'>

/** Room above the estimate, in per cent: balances may change until it is mined. */
const GAS_MARGIN_PERCENT = 25n
const NO_REFUSAL = '0x00000000'
const HIGH_BIT = 1n << 255n

const FUNCTIONS = { ClaimBatch: 'claimBatch', CloseBatch: 'closeBatch' } as const
const selectorOf = (kind: BatchKind): string =>
  keccak(
    new TextEncoder().encode(
      `${FUNCTIONS[kind]}((address,uint256,bytes32,bytes32,(bytes32,uint128,uint128,bytes32,bytes32)[])[])`,
    ),
  ).slice(0, 10)
/** Where the one batch lies in the list of batches, and where its claims lie in it. */
const BATCH_OFFSET_BYTES = 32n
const CLAIMS_OFFSET_BYTES = 5n * 32n

/**
 * The data of a call that claims parts of channels of one payee (`claimBatch`), or claims and closes them
 * (`closeBatch`), as its payee or operator has signed. Anyone may send it to the escrow. Encoded by hand, so that the
 * process that holds a provider's key needs no library for it.
 *
 * @param vouchers in the order of `terms.claims`; null for a channel that is closed without a further payment
 * @throws InvariantViolation unless each claim has its voucher or null, and every signature is canonical
 * @example
 * const data = encodeBatch('CloseBatch', { payee, claims: [{ channelId, claimMicros }], deadline }, signature, [voucher])
 */
export function encodeBatch(
  kind: BatchKind,
  { payee, claims, deadline }: BatchTerms,
  signature: Hex,
  vouchers: readonly (Voucher | null)[],
): Hex {
  invariant(vouchers.length === claims.length, 'each claim has its voucher or null')
  const entries = claims.flatMap(({ channelId, claimMicros }, index) => {
    const voucher = vouchers[index]
    const amounts = [claimMicros, voucher?.cumulativeMicros ?? 0n]
    return [BigInt(channelId), ...amounts, ...fold(voucher?.signature)]
  })
  const batches = [BATCH_OFFSET_BYTES, 1n, BATCH_OFFSET_BYTES]
  const batch = [BigInt(payee), BigInt(deadline), ...fold(signature), CLAIMS_OFFSET_BYTES]
  const words = [...batches, ...batch, BigInt(claims.length), ...entries]
  return `${selectorOf(kind)}${words.map(wordOf).join('')}` as Hex
}

/** r and vs of EIP-2098: s in 255 bits under the parity of v. https://eips.ethereum.org/EIPS/eip-2098 */
function fold(signature: Hex | undefined): [bigint, bigint] {
  if (signature === undefined) return [0n, 0n]
  invariant(isCanonicalSignature(signature), 'a signature in canonical form')
  const parity = signature.endsWith('1c') ? HIGH_BIT : 0n
  const [r, s] = [signature.slice(2, 66), signature.slice(66, 130)]
  return [BigInt(`0x${r}`), BigInt(`0x${s}`) | parity]
}

const wordOf = (value: bigint): string => value.toString(16).padStart(64, '0')

/** What would come of a batch if it were sent now. */
export type BatchTrial = {
  /** The limit to sign with: the estimate and a quarter. */
  gas: bigint
  /** In the order of the claims: null for one that would be paid, else the escrow's error, such as `ChannelFinalized`. */
  refusals: (string | null)[]
}

/**
 * Tries a batch without sending it, at the latest block.
 *
 * @param from who would send it
 * @throws OrienError `chain_unavailable`, also when the escrow refuses the whole call
 */
export async function tryBatch(
  rpcUrl: string,
  { chainId, escrow }: Place,
  from: Hex,
  data: Hex,
): Promise<BatchTrial> {
  await assertChain(rpcUrl, chainId)
  const { decodeErrorResult, decodeFunctionResult } = await import('viem')
  // An error of the escrow without arguments is its selector alone; it has no others.
  const nameOf = (selector: Hex) =>
    selector === NO_REFUSAL ? null : decodeErrorResult({ abi: orienEscrowAbi, data: selector }).errorName
  return askChain(async () => {
    const client = await chainClient(rpcUrl)
    const call = { account: from, to: escrow, data }
    const [estimate, answer] = await Promise.all([client.estimateGas(call), client.call(call)])
    // Both kinds answer alike.
    const result = { abi: orienEscrowAbi, functionName: 'closeBatch', data: answer.data ?? '0x' } as const
    const refusals = decodeFunctionResult(result).map(nameOf)
    return { gas: estimate + (estimate * GAS_MARGIN_PERCENT) / 100n, refusals }
  })
}

/**
 * How long after a requested close anyone may send the refund, in seconds.
 *
 * @throws OrienError `chain_unavailable`
 */
export async function readGraceSeconds(rpcUrl: string, { chainId, escrow }: Place): Promise<number> {
  await assertChain(rpcUrl, chainId)
  const seconds = await askChain(async () =>
    (await chainClient(rpcUrl)).readContract({
      address: escrow,
      abi: orienEscrowAbi,
      functionName: 'CLOSE_GRACE_PERIOD',
    }),
  )
  return Number(seconds)
}
