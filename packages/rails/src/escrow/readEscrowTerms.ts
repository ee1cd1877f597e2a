import { orienEscrowAbi } from '@orien/contracts'
import { type Address, isAddressEqual } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'
import { type EscrowTerms, escrowDeployment } from './escrowDeployment.ts'

/** What stands at an address that is said to be the escrow. */
export type EscrowReading =
  | { status: 'genuine'; terms: EscrowTerms }
  /** It answers like one, but its address is not that of this source with these terms. */
  | { status: 'other'; terms: EscrowTerms }
  | Unreachable

/** Reads an escrow's terms and tells whether it is made of this source. */
export async function readEscrowTerms(client: ChainClient, escrow: Address): Promise<EscrowReading> {
  const call = { address: escrow, abi: orienEscrowAbi } as const
  const token = await askValue(client.readContract({ ...call, functionName: 'token' }))
  if (token.status === 'unreachable') return token
  const platform = await askValue(client.readContract({ ...call, functionName: 'platform' }))
  if (platform.status === 'unreachable') return platform
  const reserve = await askValue(client.readContract({ ...call, functionName: 'reserve' }))
  if (reserve.status === 'unreachable') return reserve
  const grace = await askValue(client.readContract({ ...call, functionName: 'CLOSE_GRACE_PERIOD' }))
  if (grace.status === 'unreachable') return grace
  const receivers = { platform: platform.value, reserve: reserve.value }
  const terms = { token: token.value, ...receivers, closeGraceSeconds: grace.value }
  const isGenuine = isAddressEqual(escrowDeployment(terms).address, escrow)
  return { status: isGenuine ? 'genuine' : 'other', terms }
}
