import { orienEscrowAbi } from '@orien/contracts'
import { type ChannelTerms, channelId, type Hex } from '@orien/protocol'
import { encodeAbiParameters, encodeEventTopics, encodeFunctionResult, toEventSelector, toHex } from 'viem'
import { type Loopback, startLoopback } from './loopback.ts'
import { wordOf } from './providerStandIn.ts'

type EventName = 'ChannelOpened' | 'ChannelSettled' | 'ChannelClosed'
/** A log of the escrow, its amounts in micro-USDC. */
type LogStandIn = { event: EventName; blockNumber: number; amounts: readonly bigint[] }

/** What a stand-in for a chain holds. */
export type ChainState = {
  chainId: number
  timestamp: number
  blockNumber: number
  channel: {
    terms: ChannelTerms
    deposit: bigint
    settled: bigint
    closeRequestedAt: bigint
    finalized: boolean
  } | null
  logs: LogStandIn[]
  /** Blocks that one question about logs may span. */
  maxRange?: number
}

const NOBODY: Hex = `0x${'00'.repeat(20)}`
const AMOUNTS = { ChannelSettled: 4, ChannelClosed: 2 } as const

function channelResult({ channel }: ChainState): Hex {
  const { payer, payee, token, authorizedSigner } = channel?.terms ?? {
    payer: NOBODY,
    payee: NOBODY,
    token: NOBODY,
    authorizedSigner: NOBODY,
  }
  const { deposit = 0n, settled = 0n, closeRequestedAt = 0n, finalized = false } = channel ?? {}
  return encodeFunctionResult({
    abi: orienEscrowAbi,
    functionName: 'getChannel',
    result: { payer, payee, token, authorizedSigner, deposit, settled, closeRequestedAt, finalized },
  })
}

function encodeLog(state: ChainState, { event, blockNumber, amounts }: LogStandIn, index: number): object {
  const terms = state.channel?.terms
  const id = terms ? channelId(terms) : wordOf('none')
  const address = terms?.escrow ?? NOBODY
  const {
    payer = NOBODY,
    payee = NOBODY,
    token = NOBODY,
    authorizedSigner = NOBODY,
    salt = wordOf(''),
  } = terms ?? {}
  const uint = { type: 'uint128' }
  const data =
    event === 'ChannelOpened'
      ? encodeAbiParameters(
          [{ type: 'address' }, { type: 'address' }, { type: 'bytes32' }, uint],
          [token, authorizedSigner, salt, amounts[0] ?? 0n],
        )
      : encodeAbiParameters(
          Array.from({ length: AMOUNTS[event] }, () => uint),
          amounts,
        )
  const args = event === 'ChannelSettled' ? { channelId: id } : { channelId: id, payer, payee }
  return {
    address,
    topics: encodeEventTopics({ abi: orienEscrowAbi, eventName: event, args } as never),
    data,
    blockNumber: toHex(blockNumber),
    blockHash: wordOf(`block ${blockNumber}`),
    transactionHash: wordOf(`transaction ${blockNumber}`),
    transactionIndex: '0x0',
    logIndex: toHex(index),
    removed: false,
  }
}

type LogFilter = { fromBlock: Hex; toBlock: Hex; topics: (Hex | null)[] }

function findLogs(state: ChainState, { fromBlock, toBlock, topics }: LogFilter): object[] {
  if (state.maxRange !== undefined && Number(toBlock) - Number(fromBlock) > state.maxRange) {
    throw new RangeError('query exceeds max block range')
  }
  const selectors = new Map<EventName, Hex>()
  for (const item of orienEscrowAbi) {
    if (item.type === 'event') selectors.set(item.name as EventName, toEventSelector(item as never))
  }
  return state.logs
    .filter(({ event }) => selectors.get(event) === topics[0])
    .filter(({ blockNumber }) => blockNumber >= Number(fromBlock) && blockNumber <= Number(toBlock))
    .map((log, index) => encodeLog(state, log, index))
}

function answer(state: ChainState, method: string, params: unknown[]): unknown {
  switch (method) {
    case 'eth_chainId':
      return toHex(state.chainId)
    case 'eth_blockNumber':
      return toHex(state.blockNumber)
    case 'eth_getBlockByNumber':
      return { number: toHex(state.blockNumber), timestamp: toHex(state.timestamp), transactions: [] }
    case 'eth_getCode':
      return '0x60'
    case 'eth_call':
      return channelResult(state)
    case 'eth_getLogs':
      return findLogs(state, params[0] as LogFilter)
    default:
      throw new RangeError(`the stand-in does not speak ${method}`)
  }
}

/** A stand-in for a chain's endpoint: it answers in the contract's own encoding, and can be told anything. */
export function startChainStandIn(state: ChainState): Promise<Loopback> {
  return startLoopback((request) => {
    const { id, method, params } = JSON.parse(request.body.toString()) as {
      id: number
      method: string
      params: unknown[]
    }
    try {
      return { jsonrpc: '2.0', id, result: answer(state, method, params) }
    } catch (error) {
      return { jsonrpc: '2.0', id, error: { code: -32_005, message: String(error) } }
    }
  })
}
