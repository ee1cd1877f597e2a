import { createPublicClient, HttpRequestError, type HttpTransport, http, type PublicClient } from 'viem'
import type { ChainProfile } from './chains.ts'
import { type FailoverTerms, failover, type RefusedEndpoint } from './failover.ts'
import { CHAIN_LIMITS } from './limits.ts'

/** A connection for reading a chain and for sending it signed bytes; holds no key. */
export type ChainClient = PublicClient

/**
 * Prepares a connection; nothing is sent yet. Requests end after 5 s and are not repeated with the same node: whoever
 * asks knows whether asking again is harmless.
 *
 * @param rpcUrl of one node, or of several with commas between them: one that is silent, behind or of another chain is
 *   left for the next
 * @param onRefused told of each of several that serves another chain
 * @example
 * const client = connectChain(chains.arc, 'https://rpc.one.example,https://rpc.two.example')
 */
export function connectChain(
  profile: ChainProfile,
  rpcUrl: string,
  onRefused?: (refusal: RefusedEndpoint) => void,
): ChainClient {
  const terms = { chainId: profile.chain.id, ...(onRefused && { onRefused }) }
  // Where there are several, the next one is asked; viem itself asks no second time.
  return createPublicClient({ chain: profile.chain, transport: transportOf(rpcUrl, terms), cacheTime: 0 })
}

/** The same to whatever chain the nodes serve, as long as it is one: for reading what is named by address or hash. */
export function connectAnyChain(rpcUrl: string): ChainClient {
  return createPublicClient({
    transport: transportOf(rpcUrl, { chainId: null }),
    cacheTime: 0,
  }) as ChainClient
}

function transportOf(list: string, terms: FailoverTerms): HttpTransport {
  const settings = { timeout: CHAIN_LIMITS.requestMs, retryCount: 0 }
  return failover(
    rpcUrls(list).map((url) => answering(http(url, settings), url)),
    terms,
  )
}

/** The addresses in a list, the first one first. */
export function rpcUrls(list: string): string[] {
  return list
    .split(',')
    .map((url) => url.trim())
    .filter((url) => url !== '')
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
