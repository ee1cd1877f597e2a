import { orienEscrowAbi } from '@orien/contracts'
import type { Address, Hex } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'
import type { BlockRange } from './readSettlement.ts'

/** A close that payer or session key asked for; `requestedAt` in Unix seconds. */
export type CloseRequested = { channelId: Hex; requestedAt: number }

/** Reads from the events which channels were closed in some blocks, by anybody. */
export async function readCloses(
  client: ChainClient,
  escrow: Address,
  { fromBlock, toBlock }: BlockRange,
): Promise<{ status: 'read'; channelIds: Hex[] } | Unreachable> {
  const range = { fromBlock, toBlock: toBlock ?? ('latest' as const) }
  const filter = { address: escrow, abi: orienEscrowAbi, strict: true, ...range } as const
  const answer = await askValue(client.getContractEvents({ ...filter, eventName: 'ChannelClosed' }))
  if (answer.status === 'unreachable') return answer
  return { status: 'read', channelIds: answer.value.map(({ args }) => args.channelId) }
}

/** What a channel has paid in all, by its event. */
export type ChannelPayout = { channelId: Hex; cumulativeMicros: bigint }

/** Reads from the events what channels have paid in some blocks, to whomever claimed it; in the chain's order. */
export async function readPayouts(
  client: ChainClient,
  escrow: Address,
  { fromBlock, toBlock }: BlockRange,
): Promise<{ status: 'read'; payouts: ChannelPayout[] } | Unreachable> {
  const range = { fromBlock, toBlock: toBlock ?? ('latest' as const) }
  const filter = { address: escrow, abi: orienEscrowAbi, strict: true, ...range } as const
  const answer = await askValue(client.getContractEvents({ ...filter, eventName: 'ChannelSettled' }))
  if (answer.status === 'unreachable') return answer
  const payouts = answer.value.map(({ args }) => ({
    channelId: args.channelId,
    cumulativeMicros: args.cumulativeAmount,
  }))
  return { status: 'read', payouts }
}

/** Reads from the events which closes were requested in some blocks. */
export async function readCloseRequests(
  client: ChainClient,
  escrow: Address,
  { fromBlock, toBlock }: BlockRange,
): Promise<{ status: 'read'; requests: CloseRequested[] } | Unreachable> {
  const range = { fromBlock, toBlock: toBlock ?? ('latest' as const) }
  const filter = { address: escrow, abi: orienEscrowAbi, strict: true, ...range } as const
  const answer = await askValue(client.getContractEvents({ ...filter, eventName: 'CloseRequested' }))
  if (answer.status === 'unreachable') return answer
  const requests = answer.value.map(({ args }) => ({
    channelId: args.channelId,
    requestedAt: Number(args.closeRequestedAt),
  }))
  return { status: 'read', requests }
}
