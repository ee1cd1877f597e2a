import { createPublicClient, HttpRequestError, type HttpTransport, http, type PublicClient } from 'viem'
import type { ChainProfile } from './chains.ts'
import { CHAIN_LIMITS } from './limits.ts'

/** A connection for reading a chain and for sending it signed bytes; holds no key. */
export type ChainClient = PublicClient

/**
 * Prepares a connection; nothing is sent yet. Requests end after 5 s and are not repeated: whoever asks knows
 * whether asking again is harmless.
 */
export function connectChain(profile: ChainProfile, rpcUrl: string): ChainClient {
  const transport = answering(http(rpcUrl, { timeout: CHAIN_LIMITS.requestMs, retryCount: 0 }), rpcUrl)
  return createPublicClient({ chain: profile.chain, transport, cacheTime: 0 })
}

/** viem takes an empty answer, as a gateway may give, for a result; null is one, undefined is not. */
function answering(transport: HttpTransport, url: string): HttpTransport {
  return (options) => {
    const made = transport(options)
    const request = async (...parameters: Parameters<typeof made.request>) => {
      const result: unknown = await made.request(...parameters)
      if (result === undefined) throw new HttpRequestError({ url, details: 'The answer has no result' })
      return result
    }
    return { ...made, request: request as typeof made.request }
  }
}
