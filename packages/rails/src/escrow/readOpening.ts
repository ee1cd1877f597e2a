import { orienEscrowAbi } from '@orien/contracts'
import { type Address, type Hex, parseEventLogs } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'
import { CHAIN_LIMITS } from '../chain/limits.ts'

/** The transaction that opened a channel, whoever sent it. Micro-USDC. */
export type Opening = { status: 'found'; txHash: Hex; blockNumber: bigint; depositMicros: bigint }

/** Reads from the newest blocks' events by which transaction a channel was opened. */
export async function readOpening(
  client: ChainClient,
  escrow: Address,
  channelId: Hex,
): Promise<Opening | { status: 'absent' } | Unreachable> {
  const head = await askValue(client.getBlockNumber({ cacheTime: 0 }))
  if (head.status === 'unreachable') return head
  const first = head.value - CHAIN_LIMITS.logRangeBlocks
  const range = { fromBlock: first > 0n ? first : 0n, toBlock: head.value }
  const filter = { address: escrow, abi: orienEscrowAbi, strict: true, ...range } as const
  const answer = await askValue(
    client.getContractEvents({ ...filter, eventName: 'ChannelOpened', args: { channelId } }),
  )
  if (answer.status === 'unreachable') return answer
  const [log] = answer.value
  if (!log) return { status: 'absent' }
  const { transactionHash: txHash, blockNumber } = log
  return { status: 'found', txHash, blockNumber, depositMicros: log.args.deposit }
}

/** Reads which channels a mined transaction has opened. */
export async function readOpenedChannels(
  client: ChainClient,
  escrow: Address,
  txHash: Hex,
): Promise<{ status: 'read'; channelIds: Hex[] } | Unreachable> {
  const receipt = await askValue(client.getTransactionReceipt({ hash: txHash }))
  if (receipt.status === 'unreachable') return receipt
  const ours = receipt.value.logs.filter(({ address }) => address.toLowerCase() === escrow.toLowerCase())
  const opened = parseEventLogs({ abi: orienEscrowAbi, logs: ours, eventName: 'ChannelOpened' })
  return { status: 'read', channelIds: opened.map(({ args }) => args.channelId) }
}
