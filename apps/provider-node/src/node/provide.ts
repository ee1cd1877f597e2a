import { type ChannelWatch, watchChannels } from '../admission/channelWatch.ts'
import { createSelfClaim, type SelfClaim } from '../claims/selfClaim.ts'
import type { SelfClaimStatus } from '../claims/selfClaimContext.ts'
import { type Clock, pause } from '../clock.ts'
import { createFileDesk } from '../files/fileDesk.ts'
import type { SignedOffer } from '../identity/offer.ts'
import type { Journal } from '../journal/journal.ts'
import { recoverRuns } from '../journal/recover.ts'
import type { Timing } from '../limits.ts'
import { Delivery } from '../link/delivery.ts'
import { Link, type LinkStatus } from '../link/link.ts'
import type { Issuer } from '../receipts/issueReceipt.ts'
import { isUnderWay } from '../rules/checkRules.ts'
import { admissionOf, type Rules, slotsOf } from '../rules/ruleBook.ts'
import { watchWorkspaces } from '../run/idleWorkspaces.ts'
import { Runs } from '../run/runs.ts'
import { createNodeMetrics, type NodeMetrics } from '../telemetry/metrics.ts'
import { runEvent } from '../telemetry/tellRun.ts'
import { startChores } from './chores.ts'
import { linkOf } from './nodeLink.ts'
import { openOffering, type Reloaded } from './offering.ts'
import type { ProvideContext } from './provideContext.ts'

/** Paid work under way. */
export type Providing = {
  runs: Pick<Runs, 'counts' | 'underWay'>
  metrics: NodeMetrics
  linkStatus(): LinkStatus
  leftovers(): Leftovers
  /** How the node stands without the coordinator; undefined where it has no way of its own to the chain. */
  claimStatus(): SelfClaimStatus | undefined
  /** Reads the tools file again. @throws OrienError `setup_failed`, `validation_failed`; then nothing has changed */
  reloadTools(): Promise<Reloaded>
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
  const offering = await openOffering({ ...context, nodeKey: keys.node })
  const issuer: Issuer = { journal, key: keys.node, providerId: provider.registration.providerId, isolation }
  const recovered = await recoverRuns(issuer, clock.nowMs())
  for (const { subject, outcome } of recovered) log.warn(runEvent(issuer, subject, outcome))
  const delivery = new Delivery(journal.state)
  await restoreDelivery(context, delivery)
  const workspaces = watchWorkspaces(stage.workspaces, clock)
  const channels = watchChannels(context.readChannel, clock, timing, stopping.signal)
  const { current: tools, retired } = stage.offered
  const judge = { tools, retired, state: journal.state, channels, nowMs: clock.nowMs }
  const isLinked = () => link.status().state === 'live'
  const metrics: NodeMetrics = createNodeMetrics(() => ({
    ...runs.counts(),
    ...figuresOf(context),
    isLinked: isLinked(),
  }))
  const runs = new Runs({ ...context, ...stage, workspaces, issuer, judge, delivery, metrics })
  const desk = createFileDesk({ workspaces, clock, timing })
  const working = { delivery, runs, workspaces, desk }
  const link = new Link(linkOf(context, working, offering.current, () => chores.dropSettled()))
  followRules(context, runs, link)
  const renewOffer = async () => {
    if (await offering.renew()) link.renew()
  }
  const selfClaim = openSelfClaim(context, { channels, runs, offer: offering.current, isLive: isLinked })
  const chores = startChores({ ...context, ...working, channels, renewOffer, selfClaim, isLive: isLinked })
  const stop = async () => {
    chores.stop()
    // In this very turn: what arrives from now on is refused.
    const finished = finishRuns(runs, clock, timing)
    await offering.settled()
    await finished
    await flushReceipts(journal, isLinked, clock, timing)
    stopping.abort()
    await link.stop()
    await desk.close()
  }
  let stopped: Promise<void> | undefined
  return {
    runs,
    metrics,
    linkStatus: () => link.status(),
    live: link.live,
    leftovers: () => leftoversOf(journal, runs),
    claimStatus: () => selfClaim?.status(),
    reloadTools: async () => {
      const reloaded = await offering.reload()
      if (reloaded.isNewOffer) link.renew({ registers: true })
      return reloaded
    },
    stop: () => {
      stopped ??= stop()
      return stopped
    },
  }
}

function openSelfClaim(
  context: ProvideContext,
  given: { channels: ChannelWatch; runs: Runs; offer(): SignedOffer; isLive(): boolean },
): SelfClaim | undefined {
  const { claimChain: chain, signer: operator, journal } = context
  if (!chain) return undefined
  const isOpen = (sessionId: string) => given.runs.isOpen(sessionId)
  const claimant = () => ({ journal, operator, offer: given.offer(), isOpen })
  return createSelfClaim({ ...context, ...given, operator, chain, claimant })
}

/** Puts a decision of the owner into force: a kill in the very turn, then the slots, then the word to the coordinator. */
function followRules({ rules, stage }: ProvideContext, runs: Runs, link: Link): void {
  const { slots } = stage.scheduler.slots()
  const follow = (current: Rules) => {
    if (current.mode === 'killed') runs.stopAll('cancelled')
    stage.scheduler.setSlots(slotsOf(current, slots))
  }
  follow(rules.current())
  rules.onChange((current) => {
    follow(current)
    link.say({ type: 'admission', admission: admissionOf(current) })
  })
}

/** Sessions, receipts that somebody has still to take, those that nobody will, and sandboxes that were given up. */
function figuresOf({ journal: { state }, stage }: ProvideContext) {
  const pending = [...state.pendingReceipts.values()]
  const refusedReceipts = pending.filter(({ refusal }) => refusal).length
  const unacknowledgedReceipts = pending.length - refusedReceipts
  const { discardedFor } = stage.driver.counts()
  return { sessions: state.sessions.size, unacknowledgedReceipts, refusedReceipts, discardedFor }
}

/** Receipts of earlier processes that nobody has acknowledged go out again, in their order, the very same bytes. */
async function restoreDelivery({ journal, stage }: ProvideContext, delivery: Delivery): Promise<void> {
  for (const { executionId, sessionId, refusal } of journal.state.pendingReceipts.values()) {
    if (refusal?.isFinal || journal.state.sessions.get(sessionId)?.forgotten) continue
    delivery.begin({ executionId, sessionId, spool: await stage.spools.reopen(executionId) })
    delivery.signed(executionId)
  }
}

/** What a node that drains waits for. */
export type Leftovers = {
  /** Ids of sessions that their agents have not ended. */
  sessions: string[]
  runs: number
  /** Receipts that the coordinator has not taken yet; those that it has refused for good are nobody's. */
  receipts: number
}

function leftoversOf({ state }: Pick<Journal, 'state'>, runs: Runs): Leftovers {
  return {
    sessions: [...state.sessions.values()].filter(isUnderWay).map(({ sessionId }) => sessionId),
    runs: runs.underWay().length,
    receipts: [...state.pendingReceipts.values()].filter(({ refusal }) => !refusal?.isFinal).length,
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
