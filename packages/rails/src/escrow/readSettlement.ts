import { orienEscrowAbi } from '@orien/contracts'
import type { Address, Hex, Log } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'

/** One payout of a channel, as its event tells it. */
export type Payout = {
  txHash: Hex
  blockNumber: bigint
  /** All that the channel has paid since it was opened. */
  cumulativeMicros: bigint
  payeeMicros: bigint
  platformMicros: bigint
  reserveMicros: bigint
}

/** A closed channel's whole money: the three shares and the refund sum up to the deposit. */
export type Settlement = {
  /** The transaction that closed the channel. */
  txHash: Hex
  blockNumber: bigint
  /** Over all payouts. */
  payeeMicros: bigint
  platformMicros: bigint
  reserveMicros: bigint
  refundMicros: bigint
  payouts: Payout[]
}

/** The result of {@link readSettlement}. */
export type SettlementReading =
  | { status: 'settled'; settlement: Settlement }
  /** Not closed in this range of blocks. */
  | { status: 'open'; payouts: Payout[] }
  | Unreachable

/** Which blocks to look at; nodes bound how many, so start at the one that opened the channel. */
export type BlockRange = { fromBlock: bigint; toBlock?: bigint }

/** Reads from the events alone what a channel has paid. */
export async function readSettlement(
  client: ChainClient,
  escrow: Address,
  channelId: Hex,
  { fromBlock, toBlock }: BlockRange,
): Promise<SettlementReading> {
  const range = { fromBlock, toBlock: toBlock ?? 'latest' } as const
  const filter = {
    address: escrow,
    abi: orienEscrowAbi,
    args: { channelId },
    strict: true,
    ...range,
  } as const
  // The closing first: whatever was paid before it is there when the payouts are asked for.
  const closed = await askValue(client.getContractEvents({ ...filter, eventName: 'ChannelClosed' }))
  if (closed.status === 'unreachable') return closed
  const settled = await askValue(client.getContractEvents({ ...filter, eventName: 'ChannelSettled' }))
  if (settled.status === 'unreachable') return settled
  const payouts = settled.value.map(toPayout)
  const [closing] = closed.value
  if (closing === undefined) return { status: 'open', payouts }
  const { transactionHash: txHash, blockNumber, args } = closing
  const settlement = { txHash, blockNumber, ...totalShares(payouts), refundMicros: args.refund, payouts }
  return { status: 'settled', settlement }
}

function totalShares(payouts: Payout[]) {
  const total = (share: 'payeeMicros' | 'platformMicros' | 'reserveMicros') =>
    payouts.reduce((sum, payout) => sum + payout[share], 0n)
  return {
    payeeMicros: total('payeeMicros'),
    platformMicros: total('platformMicros'),
    reserveMicros: total('reserveMicros'),
  }
}

type SettledLog = Log<bigint, number, false, undefined, true, typeof orienEscrowAbi, 'ChannelSettled'>

function toPayout({ transactionHash, blockNumber, args }: SettledLog): Payout {
  return {
    txHash: transactionHash,
    blockNumber,
    cumulativeMicros: args.cumulativeAmount,
    payeeMicros: args.payeeAmount,
    platformMicros: args.platformAmount,
    reserveMicros: args.reserveAmount,
  }
}
