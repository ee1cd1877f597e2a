import type { ChainClient, ChainProfile, Signer } from '@orien/rails'

/** What the relayer works with: the chain, and the one key that pays gas. */
export type RelayerChain = { client: ChainClient; profile: ChainProfile; signer: Signer }

/** Outcome of looking at one transaction: it moved, it waits, it was refused, or nothing can be learned from the chain now. */
export type Step = 'moved' | 'waiting' | 'refused' | 'unreachable'

/** Requests to the chain at a time. */
export const RPC_WIDTH = 8
