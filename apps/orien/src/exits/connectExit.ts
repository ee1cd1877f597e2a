import { OrienError } from '@orien/protocol'
import {
  type ChainClient,
  type ChainProfile,
  type ContractCall,
  chains,
  connectAnyChain,
  connectChain,
  otherChain,
  readChainId,
  type Sent,
  type Signer,
  sendCall,
} from '@orien/rails'
import { wrongUse } from '../terminal/wrongUse.ts'

/** A way to a chain, with no coordinator behind it. */
export type ExitChain = { client: ChainClient; profile: ChainProfile }

/** The same with a wallet that pays gas. */
export type PaidChain = ExitChain & { gasPayer: Signer }

/** Where it does not matter which token of a chain is meant. */
const NO_TOKEN = `0x${'00'.repeat(20)}` as const

/**
 * Connects to whatever chain an endpoint serves.
 *
 * @throws OrienError `validation_failed` without a URL, `chain_unavailable` when it does not answer
 */
export async function connectExit(rpcUrl: string | undefined): Promise<ExitChain> {
  if (rpcUrl === undefined)
    throw wrongUse('Where the chain is has to be said', 'Add --rpc-url, or set ORIEN_RPC_URL.')
  if (!URL.canParse(rpcUrl)) throw wrongUse('--rpc-url is not a URL', 'E.g. http://127.0.0.1:8545')
  const reading = await readChainId(connectAnyChain(rpcUrl))
  if (reading.status === 'unreachable') throw unavailable(reading.detail)
  const { chainId } = reading
  const known = Object.values(chains).find(({ chain }) => chain.id === chainId)
  const profile = known ?? otherChain({ chainId, name: `chain ${chainId}`, usdc: NO_TOKEN })
  return { client: connectChain(profile, rpcUrl), profile }
}

/**
 * Makes sure that a chain is the one that is meant: signatures for another would be worth nothing here.
 *
 * @throws OrienError `chain_unavailable`
 */
export function requireChain({ profile }: ExitChain, wantedId: number): void {
  const { id } = profile.chain
  if (id === wantedId) return
  throw new OrienError('chain_unavailable', `The endpoint serves chain ${id}, not ${wantedId}`, {
    hint: `Nothing was sent. Give --rpc-url an endpoint of chain ${wantedId}.`,
  })
}

/** Nothing was learned from the chain. */
export function unavailable(detail: string): OrienError {
  return new OrienError('chain_unavailable', `The chain did not answer: ${detail}`, {
    hint: 'Nothing is lost. Try again, or give --rpc-url another endpoint.',
  })
}

/**
 * Sends a call that may be repeated, and waits until it is mined.
 *
 * @returns the transaction, or `reverted` when the chain refuses it as things are now
 * @throws OrienError `insufficient_funds` without gas, `timed_out`, `chain_unavailable`
 */
export async function sendExit(
  { client, profile, gasPayer }: PaidChain,
  call: ContractCall,
): Promise<Extract<Sent, { status: 'mined' | 'reverted' }>> {
  const sent = await sendCall(client, profile, gasPayer, call)
  switch (sent.status) {
    case 'mined':
    case 'reverted':
      return sent
    case 'no_gas': {
      const { symbol } = profile.chain.nativeCurrency
      throw new OrienError(
        'insufficient_funds',
        `${gasPayer.address} cannot pay the gas of this transaction`,
        {
          hint: `Nothing was sent. Send it some ${symbol} of chain ${profile.chain.id}, or name a wallet that has some: --gas-key-file FILE`,
        },
      )
    }
    case 'waiting':
      throw new OrienError('timed_out', `Transaction ${sent.hash} was sent and is not mined yet`, {
        hint: 'Run the same command again: it looks at the chain first and does nothing twice.',
      })
    case 'rejected':
      throw new OrienError('chain_unavailable', `The chain's node refused the transaction: ${sent.detail}`)
    case 'unreachable':
      throw unavailable(sent.detail)
  }
}
