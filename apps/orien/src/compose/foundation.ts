import { type Environment, startEmbeddedPostgres } from '@orien/coordinator'
import { OrienError } from '@orien/protocol'
import type { Settings } from '../config.ts'
import { type StackChain, startChain } from './chain.ts'
import type { DataDir } from './dataDir.ts'
import { fileLogger, newLogFile } from './logFiles.ts'
import { remembersOtherChain, servesOtherEscrow } from './otherChain.ts'
import type { Report } from './report.ts'
import { tellDatabase } from './tellDatabase.ts'

/** What a coordinator stands on. */
export type Foundation = {
  databaseUrl: string
  /** For people. */
  databaseLabel: string
  /** Whether a PostgreSQL of our own died too often and stays down. */
  hasDatabaseGivenUp: () => boolean
  chain: StackChain
  stop: () => Promise<void>
}

export type FoundationOptions = {
  environment: Environment
  settings: Settings
  dir: DataDir
  /** Of the local chain. */
  chainPort: number
  report: Report
}

type Part = { stop: () => Promise<void> }

/** Starts database and chain side by side; when one of them fails, the other is stopped again. */
async function startBoth(options: FoundationOptions): Promise<Foundation> {
  const [database, chain] = await Promise.allSettled([
    startDatabase(options),
    startChain({ ...options, port: options.chainPort }),
  ])
  if (database.status === 'fulfilled' && chain.status === 'fulfilled') {
    const { databaseUrl, databaseLabel, hasDatabaseGivenUp } = database.value
    const stop = async () => {
      await chain.value.stop()
      await database.value.stop()
    }
    return { databaseUrl, databaseLabel, hasDatabaseGivenUp, chain: chain.value, stop }
  }
  for (const part of [chain, database] as readonly PromiseSettledResult<Part>[]) {
    if (part.status === 'fulfilled') await part.value.stop()
  }
  throw database.status === 'rejected' ? database.reason : chain.status === 'rejected' ? chain.reason : null
}

async function startDatabase({ environment, dir, report }: FoundationOptions) {
  const { DATABASE_URL } = environment
  if (DATABASE_URL !== undefined) {
    return {
      databaseUrl: DATABASE_URL,
      databaseLabel: 'the one of DATABASE_URL',
      hasDatabaseGivenUp: () => false,
      stop: async () => {},
    }
  }
  const log = fileLogger(newLogFile(dir.logs, 'postgres'), environment.ORIEN_LOG_LEVEL)
  const tell = tellDatabase(report)
  const postgres = await startEmbeddedPostgres({
    dataDir: dir.postgres,
    log: (entry) => {
      const { event, ...seen } = entry
      log.info('error' in seen ? { event, err: seen.error } : { event, ...seen })
      tell(entry)
    },
  })
  return {
    databaseUrl: postgres.url,
    databaseLabel: 'PostgreSQL 18, embedded',
    hasDatabaseGivenUp: () => postgres.status().state === 'failed',
    stop: postgres.stop,
  }
}

/**
 * Starts database and chain. When they do not belong together, `beginAnew` is asked to put the old state away, which
 * only a development stack of its own may do.
 *
 * @param beginAnew moves the data aside and says so
 * @throws OrienError `setup_failed` with the reason `other_chain` where nothing may be put away
 */
export async function layFoundation(
  options: FoundationOptions,
  beginAnew: () => Promise<void>,
): Promise<Foundation> {
  const first = await startBoth(options)
  const isOther = await isOfOtherChain(first, options.dir).catch(async (error: unknown) => {
    await first.stop()
    throw error
  })
  if (!isOther) return first
  await first.stop()
  const { DATABASE_URL, ORIEN_RPC_URL, ORIEN_ENV } = options.environment
  const isOurs = first.chain.isLocal && DATABASE_URL === undefined && ORIEN_RPC_URL === undefined
  if (!isOurs || ORIEN_ENV === 'production') {
    const detail = 'Database or node belong to another chain or escrow than the one that runs'
    const hint = 'Connect to the chain that they belong to, or use another database and data directory.'
    throw new OrienError('setup_failed', detail, { reason: 'other_chain', hint })
  }
  await beginAnew()
  return startBoth(options)
}

async function isOfOtherChain({ databaseUrl, chain }: Foundation, dir: DataDir): Promise<boolean> {
  return (await servesOtherEscrow(dir, chain)) || (await remembersOtherChain(databaseUrl, chain))
}
