import { orienEscrowAbi } from '@orien/contracts'
import { type ChannelTerms, channelId, type Hex, micros, type UsdcMicros } from '@orien/protocol'
import { askChain, assertChain, chainClient } from './chainClient.ts'

/** A channel as the chain has it; addresses in lower case. */
export type ChannelState = {
  payer: Hex
  payee: Hex
  token: Hex
  authorizedSigner: Hex
  depositMicros: UsdcMicros
  /** Cumulative amount already paid out, all shares together. */
  settledMicros: UsdcMicros
  /** Unix seconds; 0 while no close is pending. */
  closeRequestedAt: number
  finalized: boolean
}

const NOBODY = '0x0000000000000000000000000000000000000000'
const lower = (hex: Hex) => hex.toLowerCase() as Hex

/**
 * Reads a channel from the escrow contract through the caller's own endpoint, at the latest block.
 *
 * @returns null when there is no such channel
 * @throws OrienError `chain_unavailable` when the endpoint does not answer or serves another chain
 */
export async function readChannelState(rpcUrl: string, terms: ChannelTerms): Promise<ChannelState | null> {
  await assertChain(rpcUrl, terms.chainId)
  const channel = await askChain(async () =>
    (await chainClient(rpcUrl)).readContract({
      address: terms.escrow,
      abi: orienEscrowAbi,
      functionName: 'getChannel',
      args: [channelId(terms)],
    }),
  )
  if (channel.payer === NOBODY) return null
  return {
    payer: lower(channel.payer),
    payee: lower(channel.payee),
    token: lower(channel.token),
    authorizedSigner: lower(channel.authorizedSigner),
    depositMicros: micros(channel.deposit),
    settledMicros: micros(channel.settled),
    closeRequestedAt: Number(channel.closeRequestedAt),
    finalized: channel.finalized,
  }
}

/**
 * The time of the latest block, Unix seconds.
 *
 * @throws OrienError `chain_unavailable`
 */
export async function readChainTime(rpcUrl: string): Promise<number> {
  const block = await askChain(async () => (await chainClient(rpcUrl)).getBlock({ blockTag: 'latest' }))
  return Number(block.timestamp)
}
