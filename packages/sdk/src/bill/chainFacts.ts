import { orienEscrowAbi } from '@orien/contracts'
import { add, type Bill, type ChainFacts, type ChannelTerms, channelId, micros, ZERO } from '@orien/protocol'
import { askChain, chainClient } from '../channel/chainClient.ts'
import { readChannelState } from '../channel/readChannelState.ts'
import { readRefundPayments } from './refundFacts.ts'

type Logs = Awaited<ReturnType<typeof readLogs>>

/** Public endpoints refuse wider ranges. */
const RANGE_BLOCKS = 9_999n
/** A session lives for hours: this reaches back for weeks on a chain with second blocks. */
const MAX_RANGES = 400

async function readLogs(rpcUrl: string, terms: ChannelTerms, fromBlock: bigint, toBlock: bigint) {
  const client = await chainClient(rpcUrl)
  const of = {
    address: terms.escrow,
    abi: orienEscrowAbi,
    args: { channelId: channelId(terms) },
    strict: true,
  } as const
  const range = { fromBlock, toBlock }
  const [opened, settled, closed] = await Promise.all([
    client.getContractEvents({ ...of, ...range, eventName: 'ChannelOpened' }),
    client.getContractEvents({ ...of, ...range, eventName: 'ChannelSettled' }),
    client.getContractEvents({ ...of, ...range, eventName: 'ChannelClosed' }),
  ])
  return { opened, settled, closed }
}

/** All logs of a channel up to a block: in one question, or range by range backwards to the block that opened it. */
async function channelLogs(rpcUrl: string, terms: ChannelTerms, lastBlock: bigint): Promise<Logs> {
  const whole = await readLogs(rpcUrl, terms, 0n, lastBlock).catch(() => null)
  if (whole) return whole
  const found: Logs = { opened: [], settled: [], closed: [] }
  let toBlock = lastBlock
  for (let ranges = 0; ranges < MAX_RANGES && found.opened.length === 0; ranges += 1) {
    const fromBlock = toBlock > RANGE_BLOCKS ? toBlock - RANGE_BLOCKS : 0n
    const piece = await readLogs(rpcUrl, terms, fromBlock, toBlock)
    found.opened.push(...piece.opened)
    found.settled.push(...piece.settled)
    found.closed.push(...piece.closed)
    if (fromBlock === 0n) break
    toBlock = fromBlock - 1n
  }
  return found
}

function settlementOf(logs: Logs): ChainFacts['settlement'] {
  const [closed] = logs.closed
  if (!closed) return null
  const total = (name: 'payeeAmount' | 'platformAmount' | 'reserveAmount') =>
    logs.settled.reduce((sum, log) => add(sum, micros(log.args[name])), ZERO)
  return {
    txHash: closed.transactionHash,
    blockNumber: Number(closed.blockNumber),
    providerMicros: total('payeeAmount'),
    platformMicros: total('platformAmount'),
    reserveMicros: total('reserveAmount'),
    refundedMicros: micros(closed.args.refund),
  }
}

/**
 * What the chain itself says about a bill's channel: its record, and what its logs paid to whom.
 *
 * @throws OrienError `chain_unavailable`
 */
export async function readChainFacts(rpcUrl: string, bill: Bill): Promise<ChainFacts> {
  const terms = bill.channel
  const channel = await readChannelState(rpcUrl, terms)
  if (!channel?.finalized) return { channel, settlement: null, refundPayments: [] }
  // Never a remembered number: the block that closed the channel may be younger than it.
  const lastBlock = await askChain(async () => (await chainClient(rpcUrl)).getBlockNumber({ cacheTime: 0 }))
  const logs = await askChain(() => channelLogs(rpcUrl, terms, lastBlock))
  const refundPayments = await askChain(() => readRefundPayments(rpcUrl, bill))
  return { channel, settlement: settlementOf(logs), refundPayments }
}
