import { join } from 'node:path'
import type { FromNode } from '@orien/protocol'
import { type Logger, pino } from 'pino'
import type { WebSocket } from 'ws'
import { createAuthenticator } from './access/authenticate.ts'
import { type ChainSettings, openChain } from './chain.ts'
import { systemClock } from './clock.ts'
import type { Config } from './config.ts'
import type { Context } from './context.ts'
import { createDatabase } from './db/executor.ts'
import { functionFilesBelow, migrateDatabase } from './db/migrate.ts'
import { createPool } from './db/pool.ts'
import { createBus } from './events/bus.ts'
import { createDispatcher } from './execution/dispatch.ts'
import { createLogSink, type LogSink } from './execution/logs.ts'
import { recordStarted, relayMeter } from './execution/report.ts'
import { extendLeases, selectExecution } from './execution/store.ts'
import { createSubmitter } from './execution/submit.ts'
import { createServer } from './http/server.ts'
import type { Faucet } from './http/system.ts'
import { createLeadership } from './jobs/leader.ts'
import { type Loop, startLoop } from './jobs/loop.ts'
import { touchAlive } from './jobs/store.ts'
import { sweep } from './jobs/sweep.ts'
import { loadCoordinatorKey } from './keys.ts'
import { createRecorder, type Recorder, recordReceipt } from './metering/record.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { touchProvider } from './provider/connect.ts'
import { createNodeHub, type NodeHandlers, type NodeHub } from './provider/nodes.ts'
import { systemRandom } from './random.ts'
import { collectClaims } from './settlement/claim.ts'
import { createOutbox } from './settlement/outbox.ts'
import { type RelayerChain, relayOnce } from './settlement/relayer.ts'
import { selectOldestUnpaid } from './settlement/store.ts'

/** A running coordinator. */
export type Coordinator = {
  url: string
  /** Of its countersigning key, base64url. */
  publicKey: string
  /** Stops taking requests, finishes what is under way, closes everything. */
  stop: () => Promise<void>
}

export type CoordinatorOptions = {
  config: Config
  databaseUrl: string
  chain: ChainSettings
  /** Gives local USDC in development. */
  faucet: Faucet | null
  log?: Logger
}

/**
 * Starts a coordinator: migrates the database, connects to the chain, serves HTTP and nodes, and runs its jobs.
 *
 * @throws OrienError `database_unavailable`, `chain_unavailable`, `setup_failed`
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { config } = options
  const log = options.log ?? pino({ level: config.logLevel })
  await migrateDatabase({
    url: options.databaseUrl,
    migrationsDir: join(import.meta.dirname, 'db/migrations'),
    functionFiles: functionFilesBelow(import.meta.dirname),
  })
  const pool = createPool({ url: options.databaseUrl })
  const { client, terms, rail } = await openChain(options.chain)
  const random = systemRandom(systemClock)
  let relayer: Loop | null = null
  const hub = createNodeHub()
  const base = {
    config,
    clock: systemClock,
    random,
    db: createDatabase(pool),
    bus: createBus(),
    nodes: hub,
    outbox: createOutbox(random, () => relayer?.wake()),
    chain: terms,
    rail,
    key: loadCoordinatorKey(join(config.dataDir, 'coordinator.key'), random),
    log,
  }
  const ctx: Context = { ...base, dispatcher: createDispatcher(base) }
  const downMs = await touchAlive(ctx.db.read)
  if (downMs !== null) await extendLeases(ctx.db.read, downMs)

  const recorder = createRecorder(ctx)
  const logs = createLogSink(ctx)
  const metrics = createMetrics({
    nodesOnline: () => hub.online().length,
    subscribers: ctx.bus.subscribers,
    oldestUnpaidSeconds: () => selectOldestUnpaid(ctx.db.read),
  })
  const handlers = nodeHandlers(ctx, { recorder, logs, metrics, wakeClaims: () => relayer?.wake() })
  const app = await createServer({
    ctx,
    authenticator: createAuthenticator(ctx),
    batches: { submitter: createSubmitter(ctx), recorder },
    hub,
    metrics,
    faucet: options.faucet,
    onNode: (socket: WebSocket) => hub.attach(ctx, socket, handlers),
  })
  await app.listen({ host: config.host, port: config.port })
  const leadership = createLeadership(pool)
  relayer = startRelayer(
    ctx,
    { client, profile: options.chain.profile, signer: options.chain.signer },
    leadership,
  )
  const sweeper = startLoop({ name: 'sweep', everyMs: config.sweepEveryMs, log }, () => sweep(ctx))
  log.info({ event: 'coordinator.ready', url: config.baseUrl, chainId: terms.chainId })
  return {
    url: config.baseUrl,
    publicKey: ctx.key.publicKey,
    stop: async () => {
      await Promise.all([relayer?.stop(), sweeper.stop()])
      hub.close()
      await app.close()
      await recorder.drain()
      leadership.resign()
      await pool.end()
    },
  }
}

/** How often the chain is looked at while something is under way. */
const RELAY_EVERY_MS = 250

function startRelayer(
  ctx: Context,
  chain: RelayerChain,
  leadership: ReturnType<typeof createLeadership>,
): Loop {
  return startLoop({ name: 'relayer', everyMs: RELAY_EVERY_MS, log: ctx.log }, async () => {
    if (!(await leadership.isLeader())) return false
    await collectClaims(ctx)
    return relayOnce(ctx, chain)
  })
}

type Takers = { recorder: Recorder; logs: LogSink; metrics: Metrics; wakeClaims: () => void }

/** What happens with what nodes say. */
function nodeHandlers(ctx: Context, takers: Takers): NodeHandlers {
  // Receipts of a session are a chain: the next one is looked at when the one before is recorded.
  const tails = new Map<string, Promise<void>>()
  const inOrder = (sessionId: string, work: () => Promise<void>): void => {
    const tail = (tails.get(sessionId) ?? Promise.resolve())
      .then(work)
      .catch((err: unknown) => ctx.log.error({ event: 'receipt.failed', sessionId, err }))
    tails.set(sessionId, tail)
    void tail.then(() => {
      if (tails.get(sessionId) === tail) tails.delete(sessionId)
    })
  }
  return {
    onConnected: async (providerId, hello) => {
      ctx.log.info({ event: 'node.connected', providerId, inHand: hello.inHand.length })
      await ctx.dispatcher.send({ providerId, except: hello.inHand })
      takers.wakeClaims()
    },
    onMessage: async (providerId, message) => {
      switch (message.type) {
        case 'heartbeat':
          return touchProvider(ctx, providerId)
        case 'started':
          return recordStarted(ctx, providerId, message.executionId)
        case 'log':
          return takers.logs.accept(providerId, { ...message, data: Buffer.from(message.data, 'base64') })
        case 'meter': {
          const row = await selectExecution(ctx.db.read, message.executionId)
          if (row?.session.providerId === providerId) relayMeter(ctx, row.session.id, message)
          return
        }
        case 'receipt': {
          const row = await selectExecution(ctx.db.read, message.executionId)
          inOrder(row?.session.id ?? providerId, () => takeReceipt(ctx, takers, providerId, message))
        }
      }
    },
  }
}

async function takeReceipt(
  ctx: Context,
  { recorder, logs, metrics, wakeClaims }: Takers,
  providerId: string,
  message: Extract<FromNode, { type: 'receipt' }>,
): Promise<void> {
  const { executionId, jws } = message
  // The output first: whoever hears of the end may read all of it.
  await logs.stored(executionId)
  const answer = await recordReceipt(ctx, recorder, jws)
  logs.forget(executionId)
  if (answer.accepted) {
    ctx.nodes.send(providerId, { type: 'receiptAck', executionId, countersignature: answer.countersignature })
  } else {
    metrics.refusals.inc({ code: answer.code })
    ctx.log.warn({
      event: 'receipt.refused',
      providerId,
      executionId,
      code: answer.code,
      detail: answer.detail,
    })
    ctx.nodes.send(providerId, {
      type: 'receiptRefused',
      executionId,
      code: answer.code,
      detail: answer.detail,
    })
  }
  wakeClaims()
}

export type { NodeHub }
