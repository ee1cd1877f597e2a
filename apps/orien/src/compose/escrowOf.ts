import type { ChainSettings } from '@orien/coordinator'
import { OrienError } from '@orien/protocol'
import type { ChainProfile } from '@orien/rails'
import type { Settings } from '../config.ts'
import { readAddress } from './chainProfile.ts'
import type { DataDir } from './dataDir.ts'
import { readDeployment, termsOf } from './deployment.ts'

/** An escrow by its address, with its terms where they were recorded. */
type NamedEscrow = Pick<ChainSettings, 'escrow' | 'escrowTerms'>

/**
 * The escrow that the environment names, else the one that was deployed from this data directory.
 *
 * @returns null when there is neither
 * @throws OrienError `setup_failed` with the reason `other_chain` when it was deployed on another chain; `unreadable`
 */
export async function findEscrow(
  settings: Settings,
  dir: DataDir,
  { chain }: ChainProfile,
): Promise<NamedEscrow | null> {
  if (settings.escrow !== undefined) return { escrow: readAddress('ORIEN_ESCROW', settings.escrow) }
  const recorded = await readDeployment(dir.deployment)
  if (recorded === null) return null
  if (recorded.chainId === chain.id) return { escrow: recorded.escrow, escrowTerms: termsOf(recorded) }
  const detail = `The escrow of ${dir.deployment} is on chain ${recorded.chainId}, and this is ${chain.id}`
  const hint = 'Name the data directory of this chain: --data-dir DIR; or its escrow: ORIEN_ESCROW.'
  throw new OrienError('setup_failed', detail, { reason: 'other_chain', hint })
}
