import type { Address } from 'viem'
import type { ChainProfile } from '../chain/chains.ts'
import type { ChainClient } from '../chain/connect.ts'
import type { EscrowTerms } from '../escrow/escrowDeployment.ts'
import { checkEscrow } from './checkEscrow.ts'
import { checkChainId, checkNode } from './checkNode.ts'
import { checkRelayer } from './checkRelayer.ts'
import { checkToken, checkViews } from './checkToken.ts'
import { type ChainFinding, fault } from './finding.ts'

/** A configured chain, as it is before anything is sent to it. */
export type ConfiguredChain = {
  profile: ChainProfile
  token: Address
  /** Null while none was deployed. */
  escrow: Address | null
  /** Who pays gas. */
  relayer: Address
  /** What the escrow was deployed with, where that was recorded. */
  terms?: EscrowTerms | undefined
  /** Unix seconds, to tell an old head. */
  nowSeconds: number
}

/**
 * Looks at everything that has to be so before money is handled on a chain. Sends nothing, and never throws for what
 * a chain says; without a node of the right chain the rest is not asked.
 *
 * @example
 * const findings = await checkChain(client, { profile: chains.arc, token, escrow, relayer, nowSeconds })
 * const faults = findings.filter(({ state }) => state === 'fault')
 */
export async function checkChain(client: ChainClient, configured: ConfiguredChain): Promise<ChainFinding[]> {
  const { profile, token, escrow, relayer, terms, nowSeconds } = configured
  const chainId = await checkChainId(client, profile)
  if (chainId.state !== 'ok') return [chainId]
  const looks = [
    checkNode(client, profile, nowSeconds),
    checkToken(client, token),
    checkViews(client, profile, token, relayer),
    escrow === null
      ? [fault('escrow', 'escrow_unknown', 'no address is known')]
      : checkEscrow(client, escrow, { ...terms, token }),
    checkRelayer(client, profile, relayer).then((finding) => [finding]),
  ]
  return [chainId, ...(await Promise.all(looks)).flat()]
}
