import type { Hex } from '@orien/protocol'
import type { Provider } from '@orien/provider-node'
import { encodeSetOperatorWithAuthorization, readHead, readOperator } from '@orien/rails'
import { type PaidChain, requireChain, sendExit, unavailable } from './connectExit.ts'

/**
 * Brings the owner's permission for the operator key to the chain, if nobody has: a coordinator that is gone may have
 * left before it did.
 *
 * @returns its transaction; null when there was nothing to bring, or the permission has run out
 */
export async function allowOperator(chain: PaidChain, provider: Provider): Promise<Hex | null> {
  const { payout: owner, operator } = provider.registration
  const { nonce, deadline, signature } = provider.operatorAuthorization
  const { escrow, chainId } = provider.chain
  requireChain(chain, chainId)
  const reading = await readOperator(chain.client, escrow, owner, operator)
  if (reading.status === 'unreachable') throw unavailable(reading.detail)
  if (reading.status === 'allowed') return null
  const head = await readHead(chain.client, chain.profile)
  if (head.status === 'unreachable') throw unavailable(head.detail)
  if (head.latestSeconds >= deadline) return null
  const terms = { owner, operator, allowed: true, nonce: BigInt(nonce), deadline }
  return (await sendExit(chain, encodeSetOperatorWithAuthorization(escrow, terms, signature))).hash
}
