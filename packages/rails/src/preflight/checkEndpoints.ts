import type { ChainProfile } from '../chain/chains.ts'
import { connectChain, rpcUrls } from '../chain/connect.ts'
import { readChainId } from '../chain/readGas.ts'
import { readHead } from '../chain/readHead.ts'
import { type ChainFinding, fault, ok, warning } from './finding.ts'

/** Blocks by which a node may be behind the newest of the list. */
const LAG_BLOCKS = 3n

/**
 * Looks at each of several endpoints by itself: one of another chain is a fault, since some day it would be asked; one
 * that is silent or behind is a warning. Names them by their places: an address may hold a key. A single endpoint is
 * what {@link checkChain} looks at.
 */
export async function checkEndpoints(profile: ChainProfile, rpcUrl: string): Promise<ChainFinding[]> {
  const urls = rpcUrls(rpcUrl)
  if (urls.length < 2) return []
  const readings = await Promise.all(urls.map((url) => readEndpoint(profile, url)))
  const blocks = readings.map(({ block }) => block)
  const newest = blocks.toSorted((a, b) => Number(b - a))[0] ?? -1n
  return readings.map(({ chainId, block, detail }, index) => {
    const [check, name] = ['endpoints', `endpoint ${index + 1} of ${urls.length}`]
    if (chainId === null) return warning(check, 'endpoint_silent', `${name}: ${detail}`)
    if (chainId !== profile.chain.id) {
      return fault(
        check,
        'wrong_chain',
        `${name} serves chain ${chainId}, and ${profile.name} is ${profile.chain.id}`,
      )
    }
    if (newest - block > LAG_BLOCKS) {
      return warning(check, 'endpoint_behind', `${name} is at block ${block}, another at ${newest}`)
    }
    return ok(check, `${name} serves chain ${chainId}`)
  })
}

async function readEndpoint(profile: ChainProfile, url: string) {
  const client = connectChain(profile, url)
  const [id, head] = await Promise.all([readChainId(client), readHead(client, profile)])
  if (id.status === 'unreachable') return { chainId: null, block: -1n, detail: id.detail }
  // What another chain is up to says nothing of ours.
  const isOurs = head.status === 'read' && id.chainId === profile.chain.id
  return { chainId: id.chainId, block: isOurs ? head.latestBlock : -1n, detail: '' }
}
