import { type Address, type Hex, type Log, parseAbi, parseEventLogs } from 'viem'
import { askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainProfile } from '../chain/chains.ts'
import type { ChainClient } from '../chain/connect.ts'
import { CHAIN_LIMITS } from '../chain/limits.ts'
import { readHead } from '../chain/readHead.ts'
import { readTransfer } from './readTransfer.ts'

/** A transfer that its holder has signed (EIP-3009). Micro-USDC. */
export type SignedTransfer = { from: Address; to: Address; valueMicros: bigint; nonce: Hex }

/** What became of a signed transfer, whoever submitted it. */
export type Arrival =
  | { status: 'unused' }
  /** The money is where the signature says. */
  | { status: 'arrived'; txHash: Hex; blockNumber: bigint; isFinal: boolean }
  /** The holder has cancelled it, or used its nonce for another transfer. */
  | { status: 'elsewhere' }
  /** It was used so long ago that the search ended before it. */
  | { status: 'unfound' }

// https://eips.ethereum.org/EIPS/eip-3009 and eip-20
const abi = parseAbi([
  'event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)',
  'event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce)',
  'event Transfer(address indexed from, address indexed to, uint256 value)',
])

/**
 * Reads from the token's own events whether a signed transfer was carried out. That its nonce is spent proves nothing:
 * its holder may have cancelled it, or signed another transfer with the same nonce. The token emits `AuthorizationUsed`
 * and then, next of all its events, the `Transfer` that it is for.
 */
export async function readArrival(
  client: ChainClient,
  profile: ChainProfile,
  token: Address,
  transfer: SignedTransfer,
): Promise<Arrival | Unreachable> {
  const state = await readTransfer(client, token, transfer.from, transfer.nonce)
  if (state.status !== 'used') return state
  const head = await readHead(client, profile)
  if (head.status === 'unreachable') return head
  const used = await findUse(client, token, transfer, head.latestBlock)
  if (used.status !== 'read') return used
  const [log] = used.logs
  if (log?.transactionHash == null || log.blockNumber === null) return { status: 'unfound' }
  if (log.eventName === 'AuthorizationCanceled') return { status: 'elsewhere' }
  const { transactionHash: txHash, blockNumber } = log
  const receipt = await askValue(client.getTransactionReceipt({ hash: txHash }))
  if (receipt.status === 'unreachable') return receipt
  if (!carries(receipt.value.logs, token, transfer)) return { status: 'elsewhere' }
  return { status: 'arrived', txHash, blockNumber, isFinal: blockNumber <= head.finalBlock }
}

/** The event that spent the nonce, in one question or range by range backwards. */
async function findUse(
  client: ChainClient,
  token: Address,
  { from, nonce }: SignedTransfer,
  lastBlock: bigint,
) {
  // Two questions, because only one event can be asked for by its indexed arguments at a time.
  const of = { address: token, args: { authorizer: from, nonce } } as const
  const read = async (fromBlock: bigint, toBlock: bigint) => {
    const range = { fromBlock, toBlock }
    const [used, cancelled] = await Promise.all([
      client.getLogs({ ...of, event: abi[0], ...range }),
      client.getLogs({ ...of, event: abi[1], ...range }),
    ])
    return [...used, ...cancelled]
  }
  let toBlock = lastBlock
  for (let ranges = 0; ranges < CHAIN_LIMITS.arrivalRanges; ranges += 1) {
    const fromBlock = toBlock > CHAIN_LIMITS.logRangeBlocks ? toBlock - CHAIN_LIMITS.logRangeBlocks : 0n
    const piece = await askValue(read(fromBlock, toBlock))
    if (piece.status === 'unreachable') return piece
    if (piece.value.length > 0 || fromBlock === 0n) return { status: 'read' as const, logs: piece.value }
    toBlock = fromBlock - 1n
  }
  return { status: 'read' as const, logs: [] }
}

const isSame = (a: string | undefined, b: string) => a?.toLowerCase() === b.toLowerCase()

function carries(logs: readonly Log[], token: Address, transfer: SignedTransfer): boolean {
  const events = parseEventLogs({
    abi,
    logs: logs.filter(({ address }) => isSame(address, token)),
    strict: true,
  })
  const at = events.findIndex(
    ({ eventName, args }) =>
      eventName === 'AuthorizationUsed' &&
      isSame(args.authorizer, transfer.from) &&
      isSame(args.nonce, transfer.nonce),
  )
  const next = events[at + 1]
  if (at < 0 || next?.eventName !== 'Transfer') return false
  const { from, to, value } = next.args
  return isSame(from, transfer.from) && isSame(to, transfer.to) && value === transfer.valueMicros
}
