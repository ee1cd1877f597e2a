import { readHead, readMarketFees, readNonces } from '@orien/rails'
import type { RelayerChain } from './relayerChain.ts'

type Reading<T extends (...parameters: never[]) => unknown> = () => ReturnType<T>

/** What one pass knows of the chain. Each part is asked for when somebody wants to know it, and once. */
export type Sight = {
  /** The head, not older than a block that somebody has seen. */
  head: (seenBlock?: bigint) => ReturnType<typeof readHead>
  market: Reading<typeof readMarketFees>
  nonces: Reading<typeof readNonces>
}

export function openSight({ client, profile, signer }: RelayerChain): Sight {
  const readNewest = () => readHead(client, profile)
  let head: ReturnType<typeof readHead> | null = null
  const isOlder = (reading: Awaited<ReturnType<typeof readHead>>, block: bigint): boolean =>
    reading.status === 'read' && reading.latestBlock < block
  return {
    head: async (seenBlock = 0n) => {
      const known = head ?? readNewest()
      head = known
      if (!isOlder(await known, seenBlock)) return known
      // Whoever comes first asks again for all.
      if (head === known) head = readNewest()
      return head
    },
    market: once(() => readMarketFees(client, profile.feeCapWei)),
    nonces: once(() => readNonces(client, signer.address)),
  }
}

function once<T>(ask: () => T): () => T {
  let known: { value: T } | null = null
  return () => {
    known ??= { value: ask() }
    return known.value
  }
}
