import { type Address, type Chain, defineChain } from 'viem'
import { arc, arcTestnet, foundry } from 'viem/chains'
import { localFees } from '../localChain/limits.ts'

/** When a mined block is taken for good. */
export type Finality =
  /** With this many blocks on the chain counted from it: 1 is as soon as it is mined. */
  | { kind: 'depth'; blocks: bigint }
  /** When the chain says so by its `finalized` tag. */
  | { kind: 'tag' }

/** Where fees come from, in wei. */
export type FeePolicy =
  | { kind: 'pinned'; maxFeePerGas: bigint; maxPriorityFeePerGas: bigint }
  /** Twice the last base fee, and the tip that the node suggests. */
  | { kind: 'market' }

/** What ORIEN has to know of a chain. */
export type ChainProfile = {
  name: string
  chain: Chain
  finality: Finality
  fees: FeePolicy
  /** More than this, in wei per unit of gas, is never offered. */
  feeCapWei: bigint
  /** When a transaction that is not mined is sent again for more: so long after the last time, and passed over by so many blocks. */
  replaceAfter: { ms: number; blocks: bigint }
  /** USDC's ERC-20 side, 6 decimals; null where it is deployed at start. */
  usdc: Address | null
  /** Gas is paid in USDC too: the native balance and the ERC-20 one are two views of one, see `gasToUsdc`. */
  gasIsUsdc: boolean
  /** A head older than this means that the node is behind; null where blocks are made only when asked for. */
  staleAfterSeconds: number | null
}

/** The chains that can be named in a configuration. */
export type ChainName = 'arc' | 'arc-testnet' | 'local' | 'local-reorg'

// On Arc, USDC is also the native coin, with 18 decimals; this address is its ERC-20 side with 6.
const arcUsdc: Address = '0x3600000000000000000000000000000000000000'
const pinned: FeePolicy = { kind: 'pinned', ...localFees }
const GWEI = 1_000_000_000n

/**
 * The chain profiles by name. Arc's finality is deterministic, under a second
 * (https://docs.arc.network/arc/concepts/consensus-layer); `local-reorg` is the local chain as a test of one that reorganises.
 */
export const chains: Record<ChainName, ChainProfile> = {
  arc: profile('arc', arc, 1n, { kind: 'market' }, arcUsdc),
  'arc-testnet': profile('arc-testnet', arcTestnet, 1n, { kind: 'market' }, arcUsdc),
  local: profile('local', foundry, 1n, pinned, null),
  'local-reorg': profile('local-reorg', foundry, 8n, pinned, null),
}

/**
 * A profile for any other EVM chain: final when its `finalized` tag says so, unless told otherwise.
 *
 * @param usdc a token with EIP-3009 in its packed-signature form, as Circle's
 * @example
 * otherChain({ chainId: 8453, name: 'Base', usdc: '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913' })
 */
export function otherChain(facts: OtherChain): ChainProfile {
  const { chainId, name, usdc, finality = { kind: 'tag' }, nativeDecimals = 18, rpcUrls = [] } = facts
  const nativeCurrency = { name: 'native coin', symbol: 'GAS', decimals: nativeDecimals }
  const chain = defineChain({ id: chainId, name, nativeCurrency, rpcUrls: { default: { http: rpcUrls } } })
  const fees = { kind: 'market' as const }
  const bounds = { feeCapWei: facts.feeCapWei ?? 200n * GWEI, replaceAfter: { ms: 30_000, blocks: 3n } }
  return { name, chain, finality, fees, ...bounds, usdc, gasIsUsdc: false, staleAfterSeconds: 120 }
}

/** What has to be said of a chain that is not in {@link chains}; the rest is what most chains have. */
export type OtherChain = {
  chainId: number
  name: string
  usdc: Address
  finality?: Finality
  /** Of the coin that pays gas. */
  nativeDecimals?: number
  /** 200 gwei unless told. */
  feeCapWei?: bigint
  rpcUrls?: readonly string[]
}

function profile(name: ChainName, chain: Chain, blocks: bigint, fees: FeePolicy, usdc: Address | null) {
  const staleAfterSeconds = fees.kind === 'market' ? 60 : null
  const finality = { kind: 'depth' as const, blocks }
  // Twenty-five times Arc's lowest base fee, and ten times what is pinned on the local chain.
  const feeCapWei = fees.kind === 'market' ? 500n * GWEI : 1_000n * GWEI
  const replaceAfter = { ms: fees.kind === 'market' ? 5_000 : 2_000, blocks: 3n }
  const gasIsUsdc = usdc === arcUsdc
  return { name, chain, finality, fees, feeCapWei, replaceAfter, usdc, gasIsUsdc, staleAfterSeconds }
}
