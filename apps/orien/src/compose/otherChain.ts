import { createPool, selectNewestConfirmed } from '@orien/coordinator'
import { OrienError } from '@orien/protocol'
import { connectChain, readTransaction } from '@orien/rails'
import type { StackChain } from './chain.ts'

/**
 * Whether the database remembers a chain that is not the one that runs: its newest confirmed transaction is unknown
 * there. A local chain that was killed loses its last seconds, or all of itself.
 *
 * @throws OrienError `chain_unavailable`, `database_unavailable`
 */
export async function remembersOtherChain(databaseUrl: string, chain: StackChain): Promise<boolean> {
  const pool = createPool({ url: databaseUrl, connections: 1 })
  try {
    const newest = await selectNewestConfirmed(pool)
    if (!newest) return false
    const { profile, rpcUrl } = chain.settings
    const state = await readTransaction(connectChain(profile, rpcUrl), newest)
    if (state.status === 'unreachable')
      throw new OrienError('chain_unavailable', `The chain did not answer: ${state.detail}`)
    return state.status === 'unknown'
  } finally {
    await pool.end()
  }
}
