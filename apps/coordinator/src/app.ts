import { join } from 'node:path'
import { openTracing } from '@orien/tracing'
import { type Logger, pino } from 'pino'
import type { WebSocket } from 'ws'
import { createAuthenticator } from './access/authenticate.ts'
import { type ChainSettings, openChain } from './chain.ts'
import { type Clock, systemClock } from './clock.ts'
import { composeContext } from './compose.ts'
import type { Config } from './config.ts'
import type { Context } from './context.ts'
import { createHealthProbe } from './db/health.ts'
import { functionFilesBelow, migrateDatabase } from './db/migrate.ts'
import { createPool } from './db/pool.ts'
import { extendRequested } from './execution/extend.ts'
import { createLogSink } from './execution/logs.ts'
import { createStarts } from './execution/report.ts'
import { keepLeases } from './execution/store.ts'
import { createSubmitter } from './execution/submit.ts'
import { createChainProbe } from './health/chainHealth.ts'
import { nodeTraffic } from './http/nodeTraffic.ts'
import type { Batches } from './http/operations.ts'
import { createServer } from './http/server.ts'
import type { Faucet } from './http/system.ts'
import { createLeadership, type Leadership } from './jobs/leader.ts'
import { type Loop, startLoop } from './jobs/loop.ts'
import { createPatience, type Patience } from './jobs/patience.ts'
import { touchRelayer } from './jobs/store.ts'
import { sweep } from './jobs/sweep.ts'
import { createRecorder, type Recorder } from './metering/record.ts'
import { createNodeHub } from './provider/nodes.ts'
import { systemRandom } from './random.ts'
import { RELAY_LIMITS } from './relayer/limits.ts'
import { createAccruer } from './session/accrue.ts'
import { createEnder } from './session/ender.ts'
import { SESSION_IDLE_MS } from './session/endIdle.ts'
import { collectClaims } from './settlement/claim.ts'
import { type ClaimDesk, createClaimDesk } from './settlement/claimDesk.ts'
import { relayOnce } from './settlement/relayer.ts'
import type { RelayerChain } from './settlement/relayerChain.ts'
import { createChannelWatcher } from './settlement/watchChannels.ts'
import { signatureEngine } from './signatures.ts'

/** A running coordinator. */
export type Coordinator = {
  url: string
  /** Of its countersigning key, base64url. */
  publicKey: string
  /** Stops taking requests, finishes what is under way, closes everything. Asked for again it is the same end. */
  stop: () => Promise<void>
}

export type CoordinatorOptions = {
  config: Config
  databaseUrl: string
  /** Whether the supervisor of an embedded PostgreSQL gave up on it. */
  hasDatabaseGivenUp?: () => boolean
  chain: ChainSettings
  /** Gives local USDC in development. */
  faucet: Faucet | null
  log?: Logger
  /** The system's unless told. */
  clock?: Clock
}

/**
 * Starts a coordinator: migrates the database, connects to the chain, serves HTTP and nodes, and runs its jobs.
 *
 * @throws OrienError `database_unavailable`, `chain_unavailable`, `setup_failed`
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { clock = systemClock } = options
  const config = configFor(options)
  const log = options.log ?? pino({ level: config.logLevel })
  await migrateDatabase({
    url: options.databaseUrl,
    migrationsDir: join(import.meta.dirname, 'db/migrations'),
    functionFiles: functionFilesBelow(import.meta.dirname),
  })
  const { client, terms: chainTerms, rail } = await openChain(options.chain, { clock: systemClock, log })
  const terms = { ...chainTerms, ...minimumOf(config) }
  const pool = createPool({ url: options.databaseUrl })
  let relayer: Loop | null = null
  const wakeRelayer = () => relayer?.wake()
  const hub = createNodeHub()
  const { profile, signer } = options.chain
  const chainHealth = createChainProbe({ client, profile, relayer: signer.address }, systemClock)
  const { tracesEndpoint: endpoint, version } = config
  const tracing = await openTracing({ endpoint, service: 'orien-coordinator', version })
  const ctx = composeContext({
    ...{ config, log, pool, clock, random: systemRandom(clock), nodes: hub },
    ...{ chain: terms, rail, chainHealth, tracing, onPlanned: wakeRelayer },
    databaseHealth: probeDatabase(options),
  })
  await keepLeases(ctx.db.read, { toleratedMs: 0 })

  const recorder = createRecorder(ctx)
  const logs = createLogSink(ctx)
  const desk = createClaimDesk(systemClock)
  const takers = { recorder, logs, starts: createStarts(ctx) }
  const handlers = nodeTraffic(ctx, { ...takers, wakeClaims: wakerOf(desk.patience, wakeRelayer) })
  const app = await createServer({
    ctx,
    authenticator: createAuthenticator(ctx),
    batches: batchesOf(ctx, recorder),
    hub,
    faucet: options.faucet,
    onNode: (socket: WebSocket, host) => hub.attach(ctx, { socket, host }, handlers),
  })
  await listen(app, config)
  const leadership = createLeadership(pool)
  relayer = startRelayer(ctx, { client, profile, signer }, { leadership, desk })
  const sweeper = startSweeper(ctx)
  const { baseUrl: url } = config
  log.info({ event: 'coordinator.ready', url, chainId: terms.chainId, signatures: signatureEngine })
  const end = async () => {
    await Promise.all([relayer?.stop(), sweeper.stop()])
    hub.close()
    await Promise.all([desk.closed(), app.close()])
    await recorder.drain()
    leadership.resign()
    await Promise.all([ctx.databaseHealth.close(), pool.end(), tracing.stop()])
  }
  let ended: Promise<void> | null = null
  const stop = () => {
    ended ??= end()
    return ended
  }
  return { url, publicKey: ctx.key.publicKey, stop }
}

/** On a chain whose fees are pinned by us gas is worth nothing, and is lent without a bound. */
function configFor({ config, chain }: CoordinatorOptions): Config {
  const usual = chain.profile.fees.kind === 'pinned' ? null : RELAY_LIMITS
  return { ...config, relayLimits: config.relayLimits === undefined ? usual : config.relayLimits }
}

const minimumOf = ({ relayLimits }: Config) =>
  relayLimits ? { minimumDepositMicros: relayLimits.minimumDepositMicros } : {}

function batchesOf(ctx: Context, recorder: Recorder): Batches {
  const accruer = createAccruer(ctx, (sessionId) => extendRequested(ctx, sessionId))
  return { submitter: createSubmitter(ctx), recorder, accruer, ender: createEnder(ctx) }
}

/** A port that was left to the system is known only now. */
async function listen(app: Awaited<ReturnType<typeof createServer>>, config: Config): Promise<void> {
  await app.listen({ host: config.host, port: config.port })
  const bound = app.server.address()
  if (config.port !== 0 || bound === null || typeof bound === 'string') return
  const url = new URL(config.baseUrl)
  url.port = String(bound.port)
  config.port = bound.port
  config.baseUrl = url.origin
}

function probeDatabase({ databaseUrl: url, hasDatabaseGivenUp: hasGivenUp }: CoordinatorOptions) {
  return createHealthProbe({ url, clock: systemClock, ...(hasGivenUp && { hasGivenUp }) })
}

/** What has changed may be what a node refused for: all of it is asked for again. */
function wakerOf(claims: Patience, wakeRelayer: () => void): () => void {
  return () => {
    claims.forget()
    wakeRelayer()
  }
}

/** What a silence means depends on how long we have been listening. */
/** How often idle sessions are looked for, in the time after which they end: it reads all that are active. */
const IDLE_LOOKS = 60

function startSweeper(ctx: Context): Loop {
  const { clock, config } = ctx
  const startedMs = clock.monotonicMs()
  const patience = createPatience(clock)
  const idleEveryMs = (config.sessionIdleMs ?? SESSION_IDLE_MS) / IDLE_LOOKS
  let idleAtMs = startedMs
  return startLoop(ctx, { job: 'sweep', everyMs: config.sweepEveryMs }, () => {
    const nowMs = clock.monotonicMs()
    const isIdleDue = nowMs - idleAtMs >= idleEveryMs
    if (isIdleDue) idleAtMs = nowMs
    return sweep(ctx, { upMs: nowMs - startedMs, patience, isIdleDue })
  })
}

/** How often the chain is looked at while something is under way. */
const RELAY_EVERY_MS = 250
/** How often the leader says that it finishes its passes. */
const BEAT_EVERY_MS = 5_000

function startRelayer(
  ctx: Context,
  chain: RelayerChain,
  { leadership, desk }: { leadership: Leadership; desk: ClaimDesk },
): Loop {
  const refusals = createPatience(ctx.clock)
  const watcher = createChannelWatcher(ctx, chain)
  let beatAtMs = Number.NEGATIVE_INFINITY
  return startLoop(ctx, { job: 'relayer', everyMs: RELAY_EVERY_MS }, async () => {
    if (!(await leadership.isLeader())) return false
    await collectClaims(ctx, desk)
    await watcher.look()
    const hasMoved = await relayOnce(ctx, chain, refusals)
    if (ctx.clock.monotonicMs() - beatAtMs < BEAT_EVERY_MS) return hasMoved
    await touchRelayer(ctx.db.read)
    beatAtMs = ctx.clock.monotonicMs()
    return hasMoved
  })
}
