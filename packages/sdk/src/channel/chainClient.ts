import { OrienError } from '@orien/protocol'
import type { PublicClient } from 'viem'
import { endpointsOf, severalEndpoints } from './endpoints.ts'

/** Endpoints whose client is kept. */
const MAX_CLIENTS = 32
const RPC_TIMEOUT_MS = 10_000
const clients = new Map<string, PublicClient>()

/** A client that only reads, one per endpoint, or per list of several with commas between them. */
export async function chainClient(rpcUrl: string): Promise<PublicClient> {
  const known = clients.get(rpcUrl)
  if (known) return known
  // Loaded when a chain is asked for the first time: it takes longer than all the rest of this package.
  const viem = await import('viem')
  const [url = rpcUrl, ...others] = endpointsOf(rpcUrl)
  const chainId = () => expectedChains.get(rpcUrl)
  const transport =
    others.length === 0
      ? viem.http(url, { timeout: RPC_TIMEOUT_MS, retryCount: 2 })
      : severalEndpoints(viem, [url, ...others], { timeoutMs: RPC_TIMEOUT_MS, chainId })
  const client = viem.createPublicClient({ transport })
  const [oldest] = clients.keys()
  if (oldest !== undefined && clients.size >= MAX_CLIENTS) clients.delete(oldest)
  clients.set(rpcUrl, client)
  return client
}

/**
 * Runs a question to the chain.
 *
 * @throws OrienError `chain_unavailable` for whatever goes wrong; the URL, which may hold a key, is not in it
 */
export async function askChain<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question()
  } catch (cause) {
    if (cause instanceof OrienError) throw cause
    throw new OrienError('chain_unavailable', 'the chain did not answer the question', {}, { cause })
  }
}

const checkedChains = new Map<string, number>()
/** The chain that is meant, by list: one of several that serves another is as good as away. */
const expectedChains = new Map<string, number>()

/**
 * Makes sure that an endpoint serves the chain that is meant, once per endpoint.
 *
 * @throws OrienError `chain_unavailable` for another chain
 */
export async function assertChain(rpcUrl: string, chainId: number): Promise<void> {
  if (expectedChains.size < MAX_CLIENTS) expectedChains.set(rpcUrl, chainId)
  const actual =
    checkedChains.get(rpcUrl) ?? (await askChain(async () => (await chainClient(rpcUrl)).getChainId()))
  if (checkedChains.size < MAX_CLIENTS) checkedChains.set(rpcUrl, actual)
  if (actual !== chainId) {
    const detail = `the endpoint serves chain ${actual}, not ${chainId}`
    throw new OrienError('chain_unavailable', detail, { reason: 'other_chain' })
  }
}
