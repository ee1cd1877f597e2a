import type { ChainSettings, Environment } from '@orien/coordinator'
import { type Hex, OrienError } from '@orien/protocol'
import {
  attachLocalChain,
  CHAIN_FAULTS,
  chains,
  type LocalChain,
  openSigner,
  signerFromPrivateKey,
  startLocalChain,
} from '@orien/rails'
import type { Settings } from '../config.ts'
import { readPublicChain } from './chainProfile.ts'
import type { DataDir } from './dataDir.ts'
import { findEscrow } from './escrowOf.ts'

/** The chain of a stack. */
export type StackChain = {
  settings: ChainSettings
  chainId: number
  /** Its money is worth nothing, and its state may be thrown away. */
  isLocal: boolean
  /** Gives USDC away; null where USDC is real. */
  faucet: ((wallet: Hex, amountMicros: bigint) => Promise<void>) | null
  /** Gives native coin for gas away; null where it has a price. */
  fund: ((wallet: Hex) => Promise<void>) | null
  /** For people. */
  label: string
  stop: () => Promise<void>
}

type Options = { environment: Environment; settings: Settings; dir: DataDir; port: number }

/**
 * Starts the local chain, or connects to the one that the environment names.
 *
 * @throws OrienError `setup_failed`, `chain_unavailable`
 */
export async function startChain(options: Options): Promise<StackChain> {
  const { ORIEN_CHAIN, ORIEN_RPC_URL } = options.environment
  if (ORIEN_CHAIN !== 'local') return connect(options)
  const local = ORIEN_RPC_URL
    ? await attachLocalChain(ORIEN_RPC_URL)
    : await startLocalChain({ port: options.port, statePath: options.dir.chainState })
  return describeLocal(local)
}

function describeLocal(local: LocalChain): StackChain {
  const { rpcUrl, escrow, usdc, chainId } = local
  const signer = signerFromPrivateKey(local.relayerPrivateKey)
  return {
    settings: { profile: chains.local, rpcUrl, escrow, token: usdc, signer },
    chainId,
    isLocal: true,
    faucet: async (wallet, amountMicros) => void (await local.mint(wallet, amountMicros)),
    fund: async (wallet) => void (await local.fund(wallet)),
    label: `local chain ${chainId}, a stand-in with Circle's USDC contract, ${rpcUrl}`,
    stop: local.stop,
  }
}

async function connect({ environment, settings, dir }: Options): Promise<StackChain> {
  const { profile, rpcUrl, token } = readPublicChain(environment, settings)
  const found = await findEscrow(settings, dir, profile)
  if (found === null) throw withoutEscrow()
  const signer = await openSigner(settings.relayerKeyFile ?? dir.relayerKey)
  return {
    settings: { profile, rpcUrl, token, signer, ...found },
    chainId: profile.chain.id,
    isLocal: false,
    faucet: null,
    fund: null,
    label: `${profile.name}, gas is paid by ${signer.address}`,
    stop: async () => {},
  }
}

function withoutEscrow(): OrienError {
  const reason = 'escrow_unknown'
  return new OrienError('setup_failed', 'No escrow is known on this chain', {
    reason,
    hint: CHAIN_FAULTS[reason],
  })
}
