import { defaultCloseGraceSeconds } from '@orien/contracts'
import { OrienError } from '@orien/protocol'
import type { Address, Hash, Hex } from 'viem'
import { localAccounts, localRelayerPrivateKey } from './accounts.ts'
import { startAnvil } from './anvilProcess.ts'
import { ensureEscrow } from './deployEscrow.ts'
import { ensureUsdc, localUsdc, localUsdcDomain } from './deployUsdc.ts'
import { giveUsdc } from './giveUsdc.ts'
import { LOCAL_CHAIN_LIMITS } from './limits.ts'
import { type LocalClients, localClients, minedLocal, sendFromNobody } from './rpc.ts'

/** A local chain with Circle's USDC contract and the escrow on it. A stand-in: its money is worth nothing. */
export type LocalChain = {
  rpcUrl: string
  chainId: 31337
  usdc: Address
  usdcDomain: typeof localUsdcDomain
  escrow: Address
  platform: Address
  reserve: Address
  /** Public knowledge, like every key of this chain. */
  relayerPrivateKey: Hex
  /** Of the anvil process, when it is ours. */
  pid?: number
  /** Gives micro-USDC out of the deployer's endless supply; resolves when mined. */
  mint: (to: Address, micros: bigint) => Promise<Hash>
  /** Gives an account native coin for gas; resolves when mined. */
  fund: (to: Address) => Promise<Hash>
  /** Ends the process if it is ours, after it has written its state; does nothing the second time. */
  stop: () => Promise<void>
}

/** What can be chosen of a local chain; nothing has to be. */
export type LocalChainOptions = {
  /** A free one by default. */
  port?: number
  /** Keeps the chain over restarts. */
  statePath?: string
  /** A block every so many seconds; by default one for every transaction. */
  blockTimeSeconds?: number
  /** Of the escrow; 15 minutes by default. */
  closeGraceSeconds?: bigint
  /** Stops the chain. */
  signal?: AbortSignal
}

/**
 * Starts anvil, deploys USDC and the escrow or takes those of a loaded state, and resolves when all is there.
 *
 * @throws OrienError `setup_failed`
 * @example
 * const chain = await startLocalChain()
 * await chain.mint(agent, 5_000_000n)
 * await chain.stop()
 */
export async function startLocalChain(options: LocalChainOptions = {}): Promise<LocalChain> {
  const { signal, blockTimeSeconds, closeGraceSeconds } = options
  signal?.throwIfAborted()
  const anvil = await startAnvil({ port: options.port ?? 0, statePath: options.statePath })
  const stop = () => anvil.stop()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const chain = await attachLocalChain(anvil.rpcUrl, closeGraceSeconds)
    // Only now: set-up at one block a time would take its own number of seconds.
    const { node } = localClients(anvil.rpcUrl)
    if (blockTimeSeconds !== undefined) await node.setIntervalMining({ interval: blockTimeSeconds })
    signal?.throwIfAborted()
    return { ...chain, pid: anvil.pid, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * Uses an anvil that somebody else runs; deploys what is missing there. Its `stop` leaves it running.
 *
 * @throws OrienError `chain_unavailable` when nothing answers, `setup_failed` when it is another chain
 */
export async function attachLocalChain(
  rpcUrl: string,
  closeGraceSeconds = defaultCloseGraceSeconds,
): Promise<LocalChain> {
  const clients = localClients(rpcUrl)
  await requireLocal(clients)
  await ensureUsdc(clients)
  const escrow = await ensureEscrow(clients, closeGraceSeconds)
  return {
    rpcUrl,
    chainId: 31337,
    usdc: localUsdc,
    usdcDomain: localUsdcDomain,
    escrow,
    platform: localAccounts.platform,
    reserve: localAccounts.reserve,
    relayerPrivateKey: localRelayerPrivateKey(),
    mint: async (to, micros) => minedLocal(clients, await giveUsdc(clients, to, micros)),
    fund: (to) => fund(clients, to),
    stop: async () => {},
  }
}

async function requireLocal({ reader }: LocalClients): Promise<void> {
  const chainId = await reader.getChainId().catch((cause: unknown) => {
    throw new OrienError('chain_unavailable', 'The local chain does not answer', {}, { cause })
  })
  if (chainId !== 31337) throw new OrienError('setup_failed', `Chain ${chainId} is not a local one`)
}

async function fund(clients: LocalClients, to: Address): Promise<Hash> {
  const value = LOCAL_CHAIN_LIMITS.fundWei
  return minedLocal(clients, await sendFromNobody(clients, { to, value, gas: 100_000n }))
}
