import { mkdir, rm } from 'node:fs/promises'
import {
  type Coordinator,
  lockDataDir,
  readEnvironment,
  relayLimitsOf,
  sessionIdleMsOf,
  startCoordinator,
} from '@orien/coordinator'
import { OrienError, type ProviderView } from '@orien/protocol'
import { type Clock, systemClock } from '../clock.ts'
import { VERSION } from '../commands/version.ts'
import type { Settings } from '../config.ts'
import type { StackChain } from './chain.ts'
import { type DataDir, moveAside, pathsIn, writeRunning } from './dataDir.ts'
import { type Foundation, layFoundation } from './foundation.ts'
import { fileLogger, newLogFile } from './logFiles.ts'
import { freePort, portTaken, preferPort, requirePort } from './port.ts'
import type { Report } from './report.ts'
import { runProvider } from './runProvider.ts'

/** Everything that runs. */
export type Stack = {
  url: string
  rpcUrl: string
  chain: StackChain
  dir: DataDir
  coordinatorKey: string
  provider: ProviderView | null
  /** Ends all of it in reverse order. */
  stop: () => Promise<void>
}

export type StackOptions = {
  settings: Settings
  dataDir: string
  /** 0 takes a free one. */
  port: number
  /** Tried first; any free one when it is taken. */
  chainPort?: number
  hasNode: boolean
  /** Puts the data of earlier starts aside. */
  isFresh: boolean
  report: Report
  signal: AbortSignal
  clock?: Clock
}

/**
 * Brings up database, chain, coordinator and one provider node, and waits until a session can be opened.
 *
 * @throws OrienError `database_in_use` for a directory on which a stack runs, `setup_failed` with a reason
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { settings, report, signal, clock = systemClock } = options
  const dir = pathsIn(options.dataDir)
  await using closers = new AsyncDisposableStack()
  closers.defer(await lock(dir))
  const port = options.port === 0 ? await freePort() : options.port
  const host = await requirePort(port)
  if (options.isFresh) await beginAnew(dir, clock, report, 'the earlier data is put aside as you asked')
  const environment = readEnvironment()
  const chainPort = options.chainPort === undefined ? 0 : await preferPort(options.chainPort)
  const foundation = await layFoundation({ environment, settings, dir, chainPort, report }, () =>
    beginAnew(
      dir,
      clock,
      report,
      'the data belongs to a chain or an escrow contract that is not there any more',
    ),
  )
  closers.defer(foundation.stop)
  report.part('database', foundation.databaseLabel)
  report.part('chain', foundation.chain.label)
  signal.throwIfAborted()

  const coordinator = await serve(foundation, dir, { host, port })
  closers.defer(coordinator.stop)
  report.part('coordinator', coordinator.url)
  signal.throwIfAborted()

  const { chain, databaseUrl } = foundation
  const provider = options.hasNode
    ? await runProvider({ settings, report, clock, signal }, { dir, chain, url: coordinator.url }, closers)
    : null
  const { rpcUrl, escrow } = chain.settings
  await writeRunning(dir, { pid: process.pid, url: coordinator.url, databaseUrl, rpcUrl, escrow })
  closers.defer(() => rm(dir.running, { force: true }))
  const running = closers.move()
  return {
    url: coordinator.url,
    rpcUrl,
    chain,
    dir,
    coordinatorKey: coordinator.publicKey,
    provider,
    stop: () => running.disposeAsync(),
  }
}

/** A second stack on one directory would fight over the ports and files of the first. */
async function lock(dir: DataDir): Promise<() => void> {
  await mkdir(dir.root, { recursive: true })
  try {
    return lockDataDir(dir.root).release
  } catch (error) {
    if (!(error instanceof OrienError) || error.code !== 'database_in_use') throw error
    const { holderPid } = error.facts
    throw new OrienError('database_in_use', `ORIEN already runs on ${dir.root} (process ${holderPid})`, {
      hint: 'Stop it first, or bring up another one: orien up --data-dir DIR --port 3100',
    })
  }
}

async function beginAnew(dir: DataDir, clock: Clock, report: Report, why: string): Promise<void> {
  const target = await moveAside(dir, clock.now())
  if (target !== null) report.warn(`STARTING FRESH: ${why}; it is now in ${target}`)
}

async function serve(
  foundation: Foundation,
  dir: DataDir,
  { host, port }: { host: string; port: number },
): Promise<Coordinator> {
  const environment = readEnvironment()
  const { chain, databaseUrl, hasDatabaseGivenUp } = foundation
  const isProduction = environment.ORIEN_ENV === 'production'
  return startCoordinator({
    config: {
      host,
      port,
      baseUrl: `http://localhost:${port}`,
      dataDir: dir.coordinator,
      isProduction,
      publicHosts: environment.ORIEN_PUBLIC_HOSTS,
      requestsPerMinute: environment.ORIEN_REQUESTS_PER_MINUTE,
      leaseMs: LEASE_MS,
      relayLimits: relayLimitsOf(environment),
      sessionIdleMs: sessionIdleMsOf(environment),
      sweepEveryMs: SWEEP_EVERY_MS,
      logLevel: environment.ORIEN_LOG_LEVEL,
      tracesEndpoint: environment.OTEL_EXPORTER_OTLP_ENDPOINT,
      version: VERSION,
    },
    databaseUrl,
    hasDatabaseGivenUp,
    chain: chain.settings,
    faucet: isProduction ? null : chain.faucet,
    log: fileLogger(newLogFile(dir.logs, 'coordinator'), environment.ORIEN_LOG_LEVEL),
  }).catch((error: unknown) => {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    throw isTaken ? portTaken(port, error) : error
  })
}

const LEASE_MS = 900_000
const SWEEP_EVERY_MS = 5_000
