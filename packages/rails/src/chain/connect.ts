import { createPublicClient, http, type PublicClient } from 'viem'
import type { ChainProfile } from './chains.ts'
import { CHAIN_LIMITS } from './limits.ts'

/** A connection for reading a chain and for sending it signed bytes; holds no key. */
export type ChainClient = PublicClient

/**
 * Prepares a connection; nothing is sent yet. Requests end after 5 s and are not repeated: whoever asks knows
 * whether asking again is harmless.
 */
export function connectChain(profile: ChainProfile, rpcUrl: string): ChainClient {
  const transport = http(rpcUrl, { timeout: CHAIN_LIMITS.requestMs, retryCount: 0 })
  return createPublicClient({ chain: profile.chain, transport, cacheTime: 0 })
}
