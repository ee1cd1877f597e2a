import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { systemClock } from '../clock.ts'
import { Standalone } from '../http/standalone.ts'
import { loadOrMakeApiToken } from '../identity/keys.ts'
import { lockDataDir } from '../identity/lockDataDir.ts'
import { silentLog } from '../log.ts'
import type { Spool } from '../output/spool.ts'
import { systemRandom } from '../random.ts'
import { createHistory } from '../run/history.ts'
import { openStage } from '../stage.ts'
import { createNodeMetrics } from '../telemetry/metrics.ts'
import { listen, type NodeOptions, withAbsoluteDir } from './startNode.ts'
import { sandboxesOf } from './status.ts'
import { VERSION } from './version.ts'

const NOTHING_EARLIER = { keptOutput: new Set<string>(), goesOn: () => false }

/** Nobody to sign for, and nobody to sign to. */
const ALONE = { sessions: 0, unacknowledgedReceipts: 0, refusedReceipts: 0, isLinked: false }

/** A node that works for its owner alone. */
export type StandaloneNode = { apiUrl: string; apiToken: string; stop(): Promise<void> }

/**
 * Starts the tools and the loopback interface without a coordinator: nobody connects, nobody pays, nothing is signed.
 * The directory need not have been initialised by an owner.
 *
 * @throws OrienError as `startNode` does
 */
export async function startStandalone(
  given: Omit<NodeOptions, 'coordinatorUrl' | 'rpcUrl' | 'readChannel'>,
): Promise<StandaloneNode> {
  const options = withAbsoluteDir(given)
  const { dataDir, clock = systemClock, random = systemRandom, log = silentLog } = options
  await mkdir(dataDir, { recursive: true, mode: 0o711 })
  const closers = [await lockDataDir(dataDir)]
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close()
  }
  try {
    const apiToken = await loadOrMakeApiToken(dataDir, random)
    const stage = await openStage(
      dataDir,
      { concurrency: availableParallelism(), ...options },
      NOTHING_EARLIER,
    )
    closers.push(stage.close)
    if (stage.downgrade) log.error({ event: 'isolation.downgraded', ...stage.downgrade })
    const outputs = new Map<string, Spool>()
    const history = createHistory((id) => {
      outputs.delete(id)
      stage.spools.remove(id).catch((error: unknown) => log.warn({ event: 'output.unremoved', err: error }))
    })
    const metrics = createNodeMetrics(() => ({
      ...stage.scheduler.counts(),
      ...ALONE,
      discardedFor: stage.driver.counts().discardedFor,
    }))
    const standalone = new Standalone({ ...stage, history, outputs, clock, random, log })
    closers.push(() => standalone.stop())
    const health = () => ({
      status: 'ok',
      version: VERSION,
      standalone: true,
      driver: stage.isolation.driver,
      isolation: stage.isolation.isolationClass,
      ...(stage.downgrade ? { isolationDowngrade: stage.downgrade } : {}),
      sandboxes: sandboxesOf(stage),
      ...stage.scheduler.counts(),
    })
    const api = await listen(
      { ...options, clock, random, log },
      { keys: { apiToken }, stage, history },
      { health, metrics, standalone },
    )
    closers.push(api.close)
    return { apiUrl: api.url, apiToken, stop: closeAll }
  } catch (error) {
    await closeAll()
    throw error
  }
}
