import { orienEscrowAbi } from '@orien/contracts'
import type { Address, Hex } from 'viem'
import { ask, askValue, type Unreachable } from '../chain/ask.ts'
import type { ChainClient } from '../chain/connect.ts'
import { CHAIN_LIMITS } from '../chain/limits.ts'

/** A channel as its opening told it: with the chain and the escrow, all that its id is made of. */
export type FoundChannel = {
  channelId: Hex
  payer: Address
  payee: Address
  token: Address
  authorizedSigner: Address
  salt: Hex
}

/**
 * Finds the channels that a wallet has paid into, by the escrow's own events: for an agent that has nothing left but
 * its key. Newest first.
 *
 * @returns `isWhole`: false when the search ended before the chain's first block
 */
export async function findChannels(
  client: ChainClient,
  escrow: Address,
  payer: Address,
): Promise<{ status: 'read'; channels: FoundChannel[]; isWhole: boolean } | Unreachable> {
  const events = { address: escrow, abi: orienEscrowAbi, eventName: 'ChannelOpened', strict: true } as const
  const read = (fromBlock: bigint, toBlock: bigint) =>
    client.getContractEvents({ ...events, args: { payer }, fromBlock, toBlock })
  const head = await askValue(client.getBlockNumber({ cacheTime: 0 }))
  if (head.status === 'unreachable') return head
  const whole = await ask(read(0n, head.value))
  if (whole.status === 'unreachable') return whole
  if (whole.status === 'answered') return { status: 'read', channels: toChannels(whole.value), isWhole: true }
  const channels: FoundChannel[] = []
  let toBlock = head.value
  for (let ranges = 0; ranges < CHAIN_LIMITS.logRanges; ranges += 1) {
    const fromBlock = toBlock > CHAIN_LIMITS.logRangeBlocks ? toBlock - CHAIN_LIMITS.logRangeBlocks : 0n
    const piece = await askValue(read(fromBlock, toBlock))
    if (piece.status === 'unreachable') return piece
    channels.push(...toChannels(piece.value))
    if (fromBlock === 0n) return { status: 'read', channels, isWhole: true }
    toBlock = fromBlock - 1n
  }
  return { status: 'read', channels, isWhole: false }
}

function toChannels(logs: readonly { args: FoundChannel }[]): FoundChannel[] {
  return logs
    .map(({ args: { channelId, payer, payee, token, authorizedSigner, salt } }) => {
      return { channelId, payer, payee, token, authorizedSigner, salt }
    })
    .reverse()
}
