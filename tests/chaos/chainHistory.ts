import { signerFromPrivateKey } from '@orien/rails'
import { createPublicClient, http } from 'viem'
import type { World } from './world.ts'

/**
 * Whether a transaction of the relayer took effect and is in no block. Anvil writes its state when it is ended, and can
 * have applied a transaction whose block it has not stored yet. No chain does that, so nothing follows from such a round.
 */
export async function hasLostABlock({ chain }: World): Promise<boolean> {
  const client = createPublicClient({ transport: http(chain.rpcUrl) })
  const { address } = signerFromPrivateKey(chain.relayerPrivateKey)
  const [sent, head] = await Promise.all([
    client.getTransactionCount({ address }),
    client.getBlockNumber({ cacheTime: 0 }),
  ])
  let found = 0
  for (let blockNumber = 0n; blockNumber <= head; blockNumber += 1n) {
    const { transactions } = await client.getBlock({ blockNumber, includeTransactions: true })
    found += transactions.filter(({ from }) => from.toLowerCase() === address.toLowerCase()).length
  }
  return found < sent
}
