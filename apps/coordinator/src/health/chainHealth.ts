import type { GasWei } from '@orien/protocol'
import {
  CHAIN_LIMITS,
  type ChainClient,
  type ChainProfile,
  readChainId,
  readFees,
  readGasBalance,
  readHead,
} from '@orien/rails'
import type { Clock } from '../clock.ts'

/** What the coordinator can do with its chain, and whether the relayer has gas for it. */
type ChainHealth = { state: 'ok' | 'down' | 'behind' | 'wrong'; hasGas: boolean }

export type ChainProbe = {
  /** Always answers, in bounded time. */
  read: () => Promise<ChainHealth>
  /** What the relayer has for gas; null while the chain does not say. */
  relayerWei: () => Promise<GasWei | null>
}

/** A good or bad answer is given again for this long: the page is public. */
const FRESH_MS = 1_000
/** A chain that has not answered by then counts as down. */
const CHECK_MS = 2_000
/** A head this far below one that was seen is no reorganisation: it is another node, or an old copy. */
const REORGANISED_BLOCKS = 16n

/** @param relayer the wallet that pays gas */
export function createChainProbe(
  { client, profile, relayer }: { client: ChainClient; profile: ChainProfile; relayer: `0x${string}` },
  clock: Clock,
): ChainProbe {
  let highestBlock = 0n
  let last: ChainHealth = { state: 'ok', hasGas: true }
  let freshUntilMs = Number.NEGATIVE_INFINITY
  let underWay: Promise<ChainHealth> | null = null

  async function stateNow(): Promise<ChainHealth['state']> {
    const chainId = await readChainId(client)
    if (chainId.status === 'unreachable') return 'down'
    if (chainId.chainId !== profile.chain.id) return 'wrong'
    const head = await readHead(client, profile)
    if (head.status === 'unreachable') return 'down'
    const isBelow = head.latestBlock + REORGANISED_BLOCKS < highestBlock
    if (head.latestBlock > highestBlock) highestBlock = head.latestBlock
    const ageSeconds = clock.now().getTime() / 1_000 - head.latestSeconds
    return isBelow || ageSeconds > (profile.staleAfterSeconds ?? Number.POSITIVE_INFINITY) ? 'behind' : 'ok'
  }

  async function gasNow(): Promise<boolean> {
    const [balance, fees] = await Promise.all([readGasBalance(client, relayer), readFees(client, profile)])
    // A chain that is away says nothing about the wallet.
    if (balance.status === 'unreachable' || fees.status === 'unreachable') return true
    return balance.wei >= CHAIN_LIMITS.relayerGas * fees.maxFeePerGas
  }

  const begin = () => {
    const { promise, resolve } = Promise.withResolvers<ChainHealth>()
    const late = setTimeout(() => resolve({ state: 'down', hasGas: last.hasGas }), CHECK_MS)
    const check = Promise.all([stateNow(), gasNow()]).then(
      ([state, hasGas]) => ({ state, hasGas }),
      () => ({ state: 'down' as const, hasGas: true }),
    )
    underWay = Promise.race([check, promise]).then((health) => {
      clearTimeout(late)
      last = health
      freshUntilMs = clock.monotonicMs() + FRESH_MS
      underWay = null
      return health
    })
    return underWay
  }

  return {
    read: async () => (clock.monotonicMs() < freshUntilMs ? last : (underWay ?? begin())),
    relayerWei: async () => {
      const balance = await readGasBalance(client, relayer)
      return balance.status === 'read' ? balance.wei : null
    },
  }
}
