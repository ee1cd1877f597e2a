import { askValue, type Unreachable } from './ask.ts'
import type { ChainProfile } from './chains.ts'
import type { ChainClient } from './connect.ts'

/** How far a chain is: its newest block, that block's Unix seconds and base fee in wei, and the newest that is final, −1 while there is none. */
export type Head = {
  status: 'read'
  latestBlock: bigint
  latestSeconds: number
  baseFeeWei: bigint
  finalBlock: bigint
}

/**
 * Reads how far the chain is.
 *
 * @example
 * const head = await readHead(client, chains.local)
 */
export async function readHead(client: ChainClient, profile: ChainProfile): Promise<Head | Unreachable> {
  const latest = await askValue(client.getBlock({ blockTag: 'latest' }))
  if (latest.status === 'unreachable') return latest
  const latestBlock = latest.value.number
  const latestSeconds = Number(latest.value.timestamp)
  const baseFeeWei = latest.value.baseFeePerGas ?? 0n
  const newest = { status: 'read' as const, latestBlock, latestSeconds, baseFeeWei }
  if (profile.finality.kind === 'depth') {
    return { ...newest, finalBlock: finalBlockAt(latestBlock, profile.finality.blocks) }
  }
  const final = await askValue(client.getBlock({ blockTag: 'finalized' }))
  if (final.status === 'unreachable') return final
  return { ...newest, finalBlock: final.value.number }
}

/** The newest block that has `depthBlocks` blocks counted from it, or −1. */
export function finalBlockAt(latestBlock: bigint, depthBlocks: bigint): bigint {
  const finalBlock = latestBlock - depthBlocks + 1n
  return finalBlock < 0n ? -1n : finalBlock
}
