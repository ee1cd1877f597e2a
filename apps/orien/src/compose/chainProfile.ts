import type { Environment } from '@orien/coordinator'
import { address, type Hex, OrienError } from '@orien/protocol'
import { type ChainProfile, chains, type Finality, otherChain } from '@orien/rails'
import type { Settings } from '../config.ts'

/** A chain that is not started here: what is known of it, and where it is asked. */
export type PublicChain = { profile: ChainProfile; rpcUrl: string; token: Hex }

/** What only `ORIEN_CHAIN=evm` reads: elsewhere the profile knows, and a value that nobody reads would mislead. */
const OF_EVM = ['ORIEN_CHAIN_ID', 'ORIEN_CHAIN_NAME', 'ORIEN_FINALITY', 'ORIEN_NATIVE_DECIMALS'] as const

/**
 * The chain that the environment names, when it is not the local one.
 *
 * @throws OrienError `setup_failed` with the reason `chain_not_configured`
 */
export function readPublicChain(
  environment: Environment,
  settings: Settings,
  rpcUrlGiven?: string,
): PublicChain {
  const rpcUrl = rpcUrlGiven ?? environment.ORIEN_RPC_URL
  const { ORIEN_CHAIN: name } = environment
  if (name === 'local') {
    const hint = 'Set ORIEN_CHAIN to arc, arc-testnet or evm; see docs/chains.md.'
    throw notConfigured('The local chain deploys its own contracts at every start', hint)
  }
  if (name === 'evm') return readOther(environment, settings, rpcUrl)
  const unread = OF_EVM.find((variable) => environment[variable] !== undefined)
  if (unread !== undefined) {
    throw notConfigured(`${unread} is for ORIEN_CHAIN=evm, and this is ${name}`, `Unset ${unread}.`)
  }
  const profile = { ...chains[name], ...capOf(environment) }
  const [usual] = profile.chain.rpcUrls.default.http
  const token = settings.token ?? profile.usdc ?? undefined
  return {
    profile,
    rpcUrl: required('ORIEN_RPC_URL', rpcUrl ?? usual),
    token: readAddress('ORIEN_TOKEN', token),
  }
}

function readOther(environment: Environment, settings: Settings, rpcUrl: string | undefined): PublicChain {
  const { ORIEN_CHAIN_ID, ORIEN_CHAIN_NAME, ORIEN_FINALITY, ORIEN_NATIVE_DECIMALS } = environment
  const chainId = required('ORIEN_CHAIN_ID', ORIEN_CHAIN_ID)
  const token = readAddress('ORIEN_TOKEN', settings.token)
  const profile = otherChain({
    chainId,
    name: ORIEN_CHAIN_NAME ?? `chain ${chainId}`,
    usdc: token,
    finality: finalityOf(ORIEN_FINALITY),
    ...(ORIEN_NATIVE_DECIMALS !== undefined && { nativeDecimals: ORIEN_NATIVE_DECIMALS }),
    ...capOf(environment),
  })
  return { profile, rpcUrl: required('ORIEN_RPC_URL', rpcUrl), token }
}

/** A unit of gas may cost as much at most; the profile says it where nobody does. */
const capOf = ({ ORIEN_MAX_FEE_GWEI: gwei }: Environment) =>
  gwei === undefined ? {} : { feeCapWei: BigInt(gwei) * 1_000_000_000n }

function finalityOf(setting: Environment['ORIEN_FINALITY']): Finality {
  if (setting === undefined || setting === 'finalized') return { kind: 'tag' }
  return { kind: 'depth', blocks: BigInt(setting) }
}

/** @throws OrienError `setup_failed` with the reason `chain_not_configured` when it is no address */
export function readAddress(variable: string, text: string | undefined): Hex {
  const parsed = address.safeParse(required(variable, text))
  if (parsed.success) return parsed.data as Hex
  throw notConfigured(`${variable} is not an address: ${text?.slice(0, 60)}`)
}

function required<T>(variable: string, value: T | undefined): T {
  if (value !== undefined) return value
  throw notConfigured(`${variable} has to be set for this chain`)
}

function notConfigured(detail: string, hint = 'See the environment variables in `orien up --help`.') {
  return new OrienError('setup_failed', detail, { reason: 'chain_not_configured', hint })
}
