import { setTimeout as pause } from 'node:timers/promises'
import { OrienError, type ProviderView } from '@orien/protocol'
import { connectChain, readOperator } from '@orien/rails'
import { Orien } from '@orien/sdk'
import type { Clock } from '../clock.ts'
import type { StackChain } from './chain.ts'

/** From the node's start to its first session: it attacks its own sandbox before it offers anything. */
const ONLINE_MS = 120_000
const LOOK_EVERY_MS = 100

/** A provider that is coming up, and what tells when it will not. */
export type Awaited = {
  providerId: ProviderView['id']
  url: string
  chain: StackChain
  /** Resolves with a sentence when its process ends. */
  died: Promise<string>
}

/**
 * Waits until sessions can be opened with a provider: its node is online and its operator key is allowed on the chain.
 *
 * @throws OrienError `setup_failed` when its process ends, or after {@link ONLINE_MS}
 */
export async function awaitProvider(
  wanted: Awaited,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProviderView> {
  const ended = new AbortController()
  const died = wanted.died.then((how) => {
    throw new OrienError('setup_failed', `The provider node is not running: ${how}`, { reason: 'node_ended' })
  })
  try {
    return await Promise.race([died, poll(wanted, clock, AbortSignal.any([signal, ended.signal]))])
  } finally {
    ended.abort()
    died.catch(() => undefined)
  }
}

async function poll(
  { providerId, url, chain }: Awaited,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProviderView> {
  const orien = new Orien({ baseUrl: url })
  const { profile, rpcUrl, escrow } = chain.settings
  const client = connectChain(profile, rpcUrl)
  const deadlineMs = clock.monotonicMs() + ONLINE_MS
  let seen = 'it has not registered'
  while (clock.monotonicMs() < deadlineMs) {
    const provider = (await orien.providers()).find(({ id }) => id === providerId)
    if (provider) seen = `it is ${provider.status}`
    if (provider?.status === 'online') {
      const { payout, operator } = provider
      if ((await readOperator(client, escrow, payout, operator)).status === 'allowed') return provider
      seen = 'its operator key is not allowed on the chain'
    }
    await pause(LOOK_EVERY_MS, undefined, { signal })
  }
  throw new OrienError('setup_failed', `The provider node did not become ready: ${seen}`, {
    reason: 'node_not_ready',
  })
}
