import { makeJws } from '@orien/protocol'
import type { Tracing } from '@orien/tracing'
import { type ReadChannel, watchChannels } from '../admission/channelWatch.ts'
import { type Clock, instantOf, pause } from '../clock.ts'
import { createTransfers, type Transfers } from '../files/transfers.ts'
import type { NodeKeys } from '../identity/keys.ts'
import { offerTerms } from '../identity/offer.ts'
import type { Provider } from '../identity/providerFile.ts'
import type { Journal } from '../journal/journal.ts'
import { recoverRuns } from '../journal/recover.ts'
import { NODE_LIMITS, type Timing } from '../limits.ts'
import type { Connection } from '../link/connection.ts'
import { Delivery } from '../link/delivery.ts'
import { Link, type LinkContext, type LinkStatus } from '../link/link.ts'
import { registerNode } from '../link/register.ts'
import { takeMessage } from '../link/takeMessage.ts'
import type { Log } from '../log.ts'
import type { Random } from '../random.ts'
import type { Issuer } from '../receipts/issueReceipt.ts'
import type { History } from '../run/history.ts'
import { type WatchedWorkspaces, watchWorkspaces } from '../run/idleWorkspaces.ts'
import { Runs } from '../run/runs.ts'
import type { ToolStage } from '../stage.ts'
import { createNodeMetrics, type NodeMetrics } from '../telemetry/metrics.ts'
import { runEvent } from '../telemetry/tellRun.ts'
import { startChores } from './chores.ts'
import { currentOffer } from './currentOffer.ts'
import { VERSION } from './version.ts'

/** What it takes to work for strangers. */
export type ProvideContext = {
  provider: Provider
  keys: NodeKeys
  journal: Journal
  stage: ToolStage
  coordinatorUrl: string
  readChannel: ReadChannel
  history: History
  clock: Clock
  random: Random
  timing: Timing
  tracing: Tracing
  log: Log
}

/** Paid work under way. */
export type Providing = {
  runs: Pick<Runs, 'counts'>
  metrics: NodeMetrics
  linkStatus(): LinkStatus
  /** Resolves when the coordinator has let the node in for the first time. */
  live: Promise<void>
  /** Finishes or kills what runs, hands the receipts over if there is somebody to take them, and hangs up. */
  stop(): Promise<void>
}

/** Restores what an earlier process left, connects, and works until it is stopped. */
export async function provide(context: ProvideContext): Promise<Providing> {
  const { provider, keys, journal, stage, clock, timing, log } = context
  const stopping = new AbortController()
  const { isolationClass: isolation } = stage.isolation
  const terms = offerTerms({ provider, nodeKey: keys.node.publicKey, tools: stage.tools, isolation })
  const offerNow = () => currentOffer(journal, terms, keys.node, clock.nowMs(), timing.offerValidityMs)
  let offer = await offerNow()
  const { providerId } = provider.registration
  const issuer: Issuer = { journal, key: keys.node, providerId, isolation }
  const recovered = await recoverRuns(issuer, clock.nowMs())
  for (const { subject, outcome } of recovered) log.warn(runEvent(issuer, subject, outcome))
  const delivery = new Delivery(journal.state)
  await restoreDelivery(context, delivery)
  const workspaces = watchWorkspaces(stage.workspaces, clock)
  const channels = watchChannels(context.readChannel, clock, timing, stopping.signal)
  const judge = { tools: stage.tools, state: journal.state, channels, nowMs: clock.nowMs }
  const isLinked = () => link.status().state === 'live'
  const metrics: NodeMetrics = createNodeMetrics(() => ({
    ...runs.counts(),
    ...figuresOf(journal),
    isLinked: isLinked(),
  }))
  const runs = new Runs({ ...context, ...stage, workspaces, issuer, judge, delivery, metrics })
  const working = { delivery, runs, workspaces }
  const dropSettled = () => chores.dropSettled()
  const link = new Link(linkOf(context, working, () => offer, dropSettled))
  const renewOffer = async () => {
    const next = await offerNow()
    if (next.hash === offer.hash) return
    offer = next
    link.renew()
  }
  const chores = startChores({ ...working, journal, channels, renewOffer, clock, timing, log })
  return {
    runs,
    metrics,
    linkStatus: () => link.status(),
    live: link.live,
    stop: async () => {
      chores.stop()
      await finishRuns(runs, clock, timing)
      await flushReceipts(journal, isLinked, clock, timing)
      stopping.abort()
      await link.stop()
    },
  }
}

/** Sessions, receipts that somebody has still to take, and those that nobody will. */
function figuresOf({ state }: Pick<Journal, 'state'>) {
  const pending = [...state.pendingReceipts.values()]
  const refusedReceipts = pending.filter(({ refusal }) => refusal).length
  const unacknowledgedReceipts = pending.length - refusedReceipts
  return { sessions: state.sessions.size, unacknowledgedReceipts, refusedReceipts }
}

/** Receipts of earlier processes that nobody has acknowledged go out again, in their order, the very same bytes. */
async function restoreDelivery({ journal, stage }: ProvideContext, delivery: Delivery): Promise<void> {
  for (const { executionId, sessionId, refusal } of journal.state.pendingReceipts.values()) {
    if (refusal?.isFinal || journal.state.sessions.get(sessionId)?.forgotten) continue
    delivery.begin({ executionId, sessionId, spool: await stage.spools.reopen(executionId) })
    delivery.signed(executionId)
  }
}

type Working = { delivery: Delivery; runs: Runs; workspaces: WatchedWorkspaces }

function linkOf(
  context: ProvideContext,
  { delivery, runs, workspaces }: Working,
  offer: () => Awaited<ReturnType<typeof currentOffer>>,
  onForgotten: () => void,
): LinkContext {
  const { provider, keys, journal, stage, clock } = context
  const { providerId } = provider.registration
  const transfersOf = new WeakMap<Connection, Transfers>()
  const isServed = (sessionId: string) => !journal.state.sessions.get(sessionId)?.forgotten
  const isOpen = (sessionId: string) => runs.isOpen(sessionId)
  const claimant = () => ({ journal, operator: keys.operator, offer: offer(), isOpen })
  return {
    ...context,
    register: (signal) => registerNode(context.coordinatorUrl, provider, stage.tools, signal),
    hello: (nonce) => {
      const proof = { providerId, nonce, at: instantOf(clock.nowMs()) }
      return {
        type: 'hello',
        proof: makeJws('orien-node+jws', keys.node.publicKey, proof, keys.node.sign),
        offer: offer().jws,
        version: VERSION,
        inHand: delivery.inHand().slice(0, NODE_LIMITS.openRuns),
      }
    },
    heartbeat: () => ({ type: 'heartbeat', at: instantOf(clock.nowMs()), ...runs.counts() }),
    onLive: (connection) => {
      transfersOf.set(connection, createTransfers({ ...context, workspaces, connection, isServed }))
      delivery.attach(connection)
    },
    onHeartbeat: () => delivery.mark(),
    onMessage: (message, connection) => {
      const transfers = transfersOf.get(connection)
      if (!transfers) return
      const takers = {
        ...context,
        runs,
        delivery,
        workspaces,
        spools: stage.spools,
        claimant: claimant(),
        onForgotten,
      }
      takeMessage(takers, message, { connection, transfers })
    },
  }
}

/** What is not done by then is killed. It was our wish, so it costs the agent nothing. */
async function finishRuns(runs: Runs, clock: Clock, timing: Timing): Promise<void> {
  const drained = runs.drain()
  const patience = new AbortController()
  const late = pause(clock, timing.drainMs, patience.signal).then(() => runs.stopAll('sandbox_error'))
  await drained
  patience.abort()
  await late
}

/** Receipts are safe in the journal; this only spares everybody the wait for the next start. */
async function flushReceipts(
  journal: Journal,
  isLive: () => boolean,
  clock: Clock,
  timing: Timing,
): Promise<void> {
  const untilMs = clock.monotonicMs() + timing.flushMs
  const isWaiting = () => [...journal.state.pendingReceipts.values()].some(({ refusal }) => !refusal)
  while (isLive() && isWaiting() && clock.monotonicMs() < untilMs) await pause(clock, timing.flushLookMs)
}
