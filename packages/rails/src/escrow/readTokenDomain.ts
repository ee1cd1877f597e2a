import { fiatTokenAbi } from '@orien/contracts'
import { type Address, domainSeparator } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'

/** What signers put into a token's EIP-712 domain, checked against the token's own separator. */
export type TokenDomainReading =
  | { status: 'read'; name: string; version: string }
  /** Its separator is made of other things; nothing can be signed for it. */
  | { status: 'unusual' }
  | Unreachable

/** Reads the domain for a token's EIP-3009 authorisations. */
export async function readTokenDomain(client: ChainClient, token: Address): Promise<TokenDomainReading> {
  const call = { address: token, abi: fiatTokenAbi } as const
  const name = await askValue(client.readContract({ ...call, functionName: 'name' }))
  if (name.status === 'unreachable') return name
  const version = await askValue(client.readContract({ ...call, functionName: 'version' }))
  if (version.status === 'unreachable') return version
  const separator = await askValue(client.readContract({ ...call, functionName: 'DOMAIN_SEPARATOR' }))
  if (separator.status === 'unreachable') return separator
  const chainId = await askValue(client.getChainId())
  if (chainId.status === 'unreachable') return chainId
  const domain = {
    name: name.value,
    version: version.value,
    chainId: chainId.value,
    verifyingContract: token,
  }
  if (domainSeparator({ domain }) !== separator.value) return { status: 'unusual' }
  return { status: 'read', name: name.value, version: version.value }
}
