import { selectNewestConfirmed } from '@orien/coordinator'
import { OrienError } from '@orien/protocol'
import { loadProvider } from '@orien/provider-node'
import { connectChain, readTransaction } from '@orien/rails'
import type { StackChain } from './chain.ts'
import { type DataDir, hasProvider } from './dataDir.ts'
import { withDatabase } from './withDatabase.ts'

/**
 * Whether the database remembers a chain that is not the one that runs: its newest confirmed transaction is unknown
 * there. A local chain that was killed loses its last seconds, or all of itself.
 *
 * @throws OrienError `chain_unavailable`, `database_unavailable`
 */
export async function remembersOtherChain(databaseUrl: string, chain: StackChain): Promise<boolean> {
  const newest = await withDatabase(databaseUrl, selectNewestConfirmed)
  if (!newest) return false
  const { profile, rpcUrl } = chain.settings
  const state = await readTransaction(connectChain(profile, rpcUrl), newest)
  if (state.status === 'unreachable') {
    throw new OrienError('chain_unavailable', `The chain did not answer: ${state.detail}`)
  }
  return state.status === 'unknown'
}

/** Whether the node that lies here was made for another escrow: a changed contract has another address. */
export async function servesOtherEscrow(dir: DataDir, chain: StackChain): Promise<boolean> {
  if (!hasProvider(dir)) return false
  const made = (await loadProvider(dir.provider)).chain
  return made.chainId !== chain.chainId || made.escrow !== chain.settings.escrow.toLowerCase()
}
