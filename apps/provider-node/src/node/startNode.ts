import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { type Id, OrienError, readReceipt, type UsdcMicros } from '@orien/protocol'
import { openTracing, type Tracing } from '@orien/tracing'
import type { ReadChannel } from '../admission/channelWatch.ts'
import { channelReader, escrowProver, type ProveEscrow } from '../admission/escrowProof.ts'
import { type ClaimChain, openClaimChain } from '../claims/claimChain.ts'
import { type Heard, openHeard } from '../claims/heard.ts'
import { type Clock, instantOf, systemClock } from '../clock.ts'
import { type EarningsBook, openEarnings } from '../earnings/book.ts'
import type { OwnerCalls } from '../http/ownerRoutes.ts'
import { type RoutesContext, serveRoutes } from '../http/routes.ts'
import { createServer } from '../http/server.ts'
import { loadKeys, type NodeKeys } from '../identity/keys.ts'
import { lockDataDir } from '../identity/lockDataDir.ts'
import { loadProvider, type Provider } from '../identity/providerFile.ts'
import { JOURNAL_PATH, type Journal, openJournal } from '../journal/journal.ts'
import { DEFAULT_TIMING, type Timing } from '../limits.ts'
import { type Log, silentLog } from '../log.ts'
import { type Random, systemRandom } from '../random.ts'
import { openRuleBook, type RuleBook, type RuleChange } from '../rules/ruleBook.ts'
import { createHistory, type History } from '../run/history.ts'
import { type Operator, openSigner, type Signer } from '../signer/client.ts'
import { type Earlier, openStage, type StageOptions, type ToolStage } from '../stage.ts'
import { publishAddress } from './address.ts'
import { watchDrain } from './drain.ts'
import { type Providing, provide } from './provide.ts'
import { healthOf, statusOf } from './status.ts'
import { VERSION } from './version.ts'

/** What a node is started with. What is left out comes from the provider's file, or has a plain default. */
export type NodeOptions = Partial<StageOptions> & {
  /** Made by `initNode`. */
  dataDir: string
  coordinatorUrl?: string
  rpcUrl?: string
  /** Instead of an RPC: how channels are read. */
  readChannel?: ReadChannel
  /** Instead of an RPC: how the node is paid when it is alone. */
  claimChain?: ClaimChain
  /** Of the loopback interface; 0 for any. */
  port?: number
  /** Called when the node cannot go on, because it could not remember what it signs. It should be stopped. */
  onFailure?: (error: unknown) => void
  /** Called when a drain that was to end the node is over. It should be stopped. */
  onDrained?: () => void
  /** What the owner allows at once from now on, kept like any decision; what is left out stays as it was. */
  limits?: RuleChange['limits']
  /** Base address of an OTLP/HTTP receiver; without one nothing is traced. */
  tracesEndpoint?: string
  /** Earned and not claimed in all channels together: above it the node claims a part by itself. */
  unclaimedMicros?: UsdcMicros
  timing?: Partial<Timing>
  clock?: Clock
  random?: Random
  log?: Log
}

/** A node at work. */
export type RunningNode = OwnerCalls & {
  providerId: Id<'provider'>
  /** The loopback interface; its token is in the data directory. */
  apiUrl: string
  apiToken: string
  /** Resolves when the coordinator has let the node in for the first time; rejects when it refuses for good. */
  live: Promise<void>
  /** The same as `GET /health`. */
  health(): Record<string, unknown>
  /**
   * Finishes or kills what runs, hands the receipts over and hangs up. The files of sessions that go on stay for the
   * next start, unless the owner's rules are `killed`.
   */
  stop(): Promise<void>
}

/** The options with their defaults, and what was loaded by them. */
type Loaded = {
  provider: Provider
  keys: NodeKeys
  signer: Signer
  journal: Journal
  stage: ToolStage
  rules: RuleBook
  earnings: EarningsBook
  heard: Heard
  history: History
  tracing: Tracing
}

/**
 * Starts a provider node. It serves strangers only where the sandbox has proved itself.
 *
 * @throws OrienError `sandbox_unavailable`, `setup_failed`, `validation_failed` (tool manifest), `database_in_use`,
 * `unreadable` (journal)
 */
export async function startNode(given: NodeOptions): Promise<RunningNode> {
  const options = withAbsoluteDir(given)
  const closers: (() => Promise<void>)[] = []
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close()
  }
  try {
    closers.push(await lockDataDir(options.dataDir))
    const loaded = await load(options, closers)
    const providing = await provide(provideContext(options, loaded))
    closers.push(() => providing.stop())
    const { health, owner, stop } = serveTheOwner(options, loaded, providing)
    closers.push(async () => stop())
    const { metrics } = providing
    const api = await listen(options, loaded, { health, metrics, owner })
    closers.push(api.close)
    closers.push(await publishAddress(options.dataDir, api.url))
    return {
      providerId: loaded.provider.registration.providerId,
      apiUrl: api.url,
      apiToken: loaded.keys.apiToken,
      live: providing.live,
      ...owner,
      health,
      // Work first: the owner can watch it end.
      stop: () => providing.stop().finally(closeAll),
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

/** Its programs are started in other directories, where a relative name would mean something else. */
export const withAbsoluteDir = <T extends { dataDir: string }>(options: T): T => ({
  ...options,
  dataDir: resolve(options.dataDir),
})

async function load(options: NodeOptions, closers: (() => Promise<void>)[]): Promise<Loaded> {
  const { dataDir, clock = systemClock, log = silentLog } = options
  const provider = await loadProvider(dataDir)
  const keys = await loadKeys(dataDir)
  // A process takes a while to start; the journal and the sandbox's proof take longer.
  const starting = openSigner({ dataDir, clock, log })
  closers.push(() =>
    starting.then(
      (signer) => signer.stop(),
      () => {},
    ),
  )
  // Whoever awaits it below hears of a failure.
  starting.catch(() => {})
  const journal = await openJournal({
    path: join(dataDir, JOURNAL_PATH),
    nowMs: clock.nowMs,
    onFailure: (error) => {
      log.error({ event: 'journal.failed', err: error })
      options.onFailure?.(error)
    },
  })
  closers.push(() => journal.close())
  const stageOptions = { concurrency: availableParallelism(), ...options }
  const rules = await openRuleBook(dataDir)
  if (options.limits && Object.keys(options.limits).length > 0) await rules.change({ limits: options.limits })
  const stage = await openStage(dataDir, stageOptions, earlierOf(journal, rules))
  closers.push(stage.close)
  if (stage.downgrade) log.error({ event: 'isolation.downgraded', ...stage.downgrade })
  const earnings = await openEarnings(dataDir, log)
  closers.push(earnings.close)
  noteAgain(journal, earnings)
  const signer = await starting
  checkKeys(provider, keys, signer)
  const service = { service: 'orien-node', version: VERSION }
  const tracing = await openTracing({ endpoint: options.tracesEndpoint, ...service })
  closers.push(tracing.stop)
  const history = createHistory()
  const heard = await openHeard(dataDir, clock, { ...DEFAULT_TIMING, ...options.timing })
  return { provider, keys, signer, journal, stage, rules, earnings, heard, history, tracing }
}

/**
 * The journal knows a session from its first run; one with files and no run yet goes on until it is idle for long, or the
 * node takes no new sessions. After a kill nothing goes on.
 */
function earlierOf({ state }: Journal, rules: RuleBook): Earlier {
  const goesOn = (sessionId: string) => {
    const { mode } = rules.current()
    const session = state.sessions.get(sessionId as Id<'session'>)
    if (!session) return mode === 'open'
    return mode !== 'killed' && !(session.ended || session.closed || session.forgotten)
  }
  return { keptOutput: new Set(state.pendingReceipts.keys()), goesOn }
}

/** A crash between a receipt and its line in the book loses the line; the receipt is then not acknowledged either. */
function noteAgain({ state }: Journal, earnings: EarningsBook): void {
  for (const { jws } of state.pendingReceipts.values()) {
    const read = readReceipt(jws)
    if (!read) continue
    const { executionId, sessionId, tool, effectiveMs, costMicros, endedAt: at } = read.receipt
    earnings.note({ t: 'run', at, executionId, sessionId, tool, effectiveMs, costMicros })
  }
}

/** What the owner can see of the node, and decide while it works. */
function serveTheOwner(options: NodeOptions, loaded: Loaded, providing: Providing) {
  const { clock = systemClock } = options
  const { rules } = loaded
  const timing = { ...DEFAULT_TIMING, ...options.timing }
  const onDone = () => options.onDrained?.()
  const drain = watchDrain({ rules: rules.current, leftovers: providing.leftovers, onDone }, clock, timing)
  const status = { ...loaded, providing, drain, startedAt: instantOf(clock.nowMs()) }
  const owner: OwnerCalls = {
    status: () => statusOf(status),
    rules: rules.current,
    changeRules: async (change, endWhenDone) => {
      const decided = await rules.change(change)
      drain.endWhenDone(endWhenDone === true && decided.mode !== 'open')
      return decided
    },
    reloadTools: providing.reloadTools,
  }
  return { health: () => healthOf(status), owner, stop: drain.stop }
}

/** Keys of another node would sign receipts that nobody accepts. */
function checkKeys({ registration }: Provider, keys: NodeKeys, operator: Operator): void {
  if (registration.nodeKey === keys.node.publicKey && registration.operator === operator.address) return
  throw new OrienError('setup_failed', 'the keys are not those that the owner has registered')
}

function provideContext(options: NodeOptions, loaded: Loaded) {
  const { provider } = loaded
  const coordinatorUrl = options.coordinatorUrl ?? provider.coordinatorUrl
  if (!coordinatorUrl) throw new OrienError('setup_failed', 'no coordinator is named')
  const common = {
    clock: options.clock ?? systemClock,
    timing: { ...DEFAULT_TIMING, ...options.timing },
    log: options.log ?? silentLog,
  }
  return {
    ...loaded,
    coordinatorUrl,
    ...chainOf(options, provider, common),
    unclaimedMicros: options.unclaimedMicros,
    ...common,
    random: options.random ?? systemRandom,
  }
}

function chainOf(
  { readChannel, claimChain, ...options }: NodeOptions,
  provider: Provider,
  common: { clock: Clock; timing: Timing; log: Log },
): { readChannel: ReadChannel; proveEscrow: ProveEscrow; claimChain: ClaimChain | undefined } {
  // Whoever reads channels in another way answers for them.
  if (readChannel) return { readChannel, proveEscrow: async () => {}, claimChain }
  const { rpcUrl = provider.rpcUrl } = options
  if (!rpcUrl)
    throw new OrienError('setup_failed', 'the node needs its own way to the chain: no RPC URL is named')
  return {
    readChannel: channelReader(rpcUrl),
    proveEscrow: escrowProver(rpcUrl, provider.chain, common),
    claimChain: claimChain ?? openClaimChain(rpcUrl, provider.chain),
  }
}

/** Binds the loopback interface. Nothing of it can be reached from another machine, and no tool has a network. */
export async function listen(
  options: Pick<NodeOptions, 'port' | 'clock' | 'random' | 'log'>,
  { keys, stage, history }: { keys: Pick<NodeKeys, 'apiToken'>; stage: ToolStage; history: History },
  served: Pick<RoutesContext, 'health' | 'metrics' | 'standalone' | 'owner'>,
): Promise<{ url: string; close(): Promise<void> }> {
  const { port = 0, clock = systemClock, random = systemRandom, log = silentLog } = options
  const { metrics } = served
  const app = createServer({ apiToken: keys.apiToken, clock, random, log, metrics })
  const { tools, workspaces, isolation } = stage
  serveRoutes(app, { tools, workspaces, isolation: isolation.isolationClass, history, ...served })
  const url = await app.listen({ host: '127.0.0.1', port }).catch((cause: unknown) => {
    throw new OrienError('setup_failed', `port ${port} is not free`, {}, { cause })
  })
  return { url, close: async () => void (await app.close()) }
}
