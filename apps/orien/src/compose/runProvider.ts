import { setTimeout as pause } from 'node:timers/promises'
import type { ProviderView } from '@orien/protocol'
import type { Clock } from '../clock.ts'
import type { Settings } from '../config.ts'
import { exactUsdc } from '../terminal/amounts.ts'
import { type Awaited, awaitProvider } from './awaitProvider.ts'
import type { DataDir } from './dataDir.ts'
import { ensureProvider } from './developmentProvider.ts'
import { newLogFile } from './logFiles.ts'
import { type ProviderProcess, startProviderProcess } from './providerProcess.ts'
import type { Report } from './report.ts'

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000

/**
 * Runs the stack's own node and waits until it can be rented. From then on it is started again when it dies.
 *
 * @throws OrienError `setup_failed` when it does not become ready
 */
export async function runProvider(
  options: { settings: Settings; report: Report; clock: Clock; signal: AbortSignal },
  place: Omit<Awaited, 'providerId' | 'died'> & { dir: DataDir },
  closers: AsyncDisposableStack,
): Promise<ProviderView> {
  const { report, settings, clock, signal } = options
  const { dir, chain, url } = place
  const { providerId, isNew } = await ensureProvider(dir, chain, url)
  if (isNew) report.warn(`a development wallet owns the node; its key is in ${dir.developmentOwnerKey}`)
  const { rpcUrl } = chain.settings
  const start = () =>
    startProviderProcess({
      dataDir: dir.provider,
      coordinatorUrl: url,
      rpcUrl,
      logFile: newLogFile(dir.logs, 'provider'),
      environment: settings.childEnvironment,
    })
  const first = start()
  const supervisor = supervise(first, start, (how) =>
    report.warn(`the provider node is started again: ${how}`),
  )
  closers.defer(supervisor.stop)
  const provider = await awaitProvider({ providerId, url, chain, died: first.died }, clock, signal)
  supervisor.keepUp()
  const tools = provider.tools.map(({ id }) => id).join(', ')
  const price = `${exactUsdc(provider.rateMicrosPerMinute)} USDC/min`
  report.part('provider', `${provider.id}  ${price}  ${provider.isolation}\n${tools}`)
  return provider
}

/** Starts a node again when it dies, with growing pauses, from the moment that `keepUp` is called. */
function supervise(first: ProviderProcess, start: () => ProviderProcess, onRestart: (how: string) => void) {
  const stopping = new AbortController()
  let node = first
  const watch = async () => {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const how = await node.died
      await pause(pauseMs, undefined, { signal: stopping.signal })
      onRestart(how)
      node = start()
    }
  }
  return {
    keepUp: () => void watch().catch(() => undefined),
    stop: () => {
      stopping.abort()
      return node.stop()
    },
  }
}
