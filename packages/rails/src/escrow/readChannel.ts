import { orienEscrowAbi } from '@orien/contracts'
import { type Address, type Hex, zeroAddress } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'

/** A channel as the contract has it. */
export type ChannelState = {
  payer: Address
  payee: Address
  token: Address
  /** Who signs vouchers; the zero address stands for the payer. */
  authorizedSigner: Address
  depositMicros: bigint
  /** Paid out so far, all shares together. */
  settledMicros: bigint
  /** `closing`: a close is requested, and after the grace period anyone may send the refund. */
  phase: 'open' | 'closing' | 'finalized'
  /** Unix seconds; null without a pending or past request. */
  closeRequestedAt: number | null
}

/** The result of {@link readChannel}. */
export type ChannelReading = { status: 'found'; channel: ChannelState } | { status: 'absent' } | Unreachable

/** Reads a channel at a block, by default the newest. */
export async function readChannel(
  client: ChainClient,
  escrow: Address,
  channelId: Hex,
  blockNumber?: bigint,
): Promise<ChannelReading> {
  const at = blockNumber === undefined ? {} : { blockNumber }
  const call = {
    address: escrow,
    abi: orienEscrowAbi,
    functionName: 'getChannel',
    args: [channelId],
  } as const
  const answer = await askValue(client.readContract({ ...call, ...at }))
  if (answer.status === 'unreachable') return answer
  const { deposit, settled, closeRequestedAt, finalized, ...parties } = answer.value
  if (parties.payer === zeroAddress) return { status: 'absent' }
  const requestedAt = Number(closeRequestedAt)
  const phase = finalized ? 'finalized' : requestedAt === 0 ? 'open' : 'closing'
  const amounts = { depositMicros: deposit, settledMicros: settled }
  const channel = { ...parties, ...amounts, phase, closeRequestedAt: requestedAt || null } as const
  return { status: 'found', channel }
}
