import { type Dispatch, type FailureReason, OrienError, utf8 } from '@orien/protocol'
import { admit, highestVoucher, type Judge, sumHolds } from '../admission/admit.ts'
import { type CheckedWork, isRefusal } from '../admission/checkDispatch.ts'
import { type Clock, instantOf } from '../clock.ts'
import type { Journal } from '../journal/journal.ts'
import type { Session } from '../journal/state.ts'
import { NODE_LIMITS, type Timing } from '../limits.ts'
import type { Delivery } from '../link/delivery.ts'
import type { Log } from '../log.ts'
import type { Spools } from '../output/spool.ts'
import { type Interval, type Issuer, issueReceipt } from '../receipts/issueReceipt.ts'
import { freeOutcome, type NodeStop, type Outcome, outcomeOf } from '../receipts/outcome.ts'
import type { History, RunRecord } from './history.ts'
import { type OpenRun, offerHashOf, openRunOf } from './openRun.ts'
import { runTool, type Stage } from './runTool.ts'
import type { Scheduler } from './scheduler.ts'

/** Everything a paid run touches. */
export type RunsContext = Stage & {
  journal: Journal
  issuer: Issuer
  judge: Judge
  spools: Spools
  delivery: Delivery
  scheduler: Scheduler
  history: History
  clock: Clock
  timing: Pick<Timing, 'meterEveryMs'>
  log: Log
}

/** The paid runs of a node: from a dispatch to a signed receipt, whatever happens in between. */
export type Runs = {
  /** Every dispatch ends in exactly one receipt, however often it comes. */
  dispatch(work: Dispatch): void
  stopRun(executionId: string, reason: NodeStop): void
  stopSession(sessionId: string, reason: NodeStop): void
  /** Sessions with something under way. */
  openSessions(): Set<string>
  isOpen(sessionId: string): boolean
  counts(): { running: number; queued: number }
  /** Takes no more work; resolves when every run has its receipt. */
  drain(): Promise<void>
  stopAll(reason: NodeStop): void
}

export function createRuns(context: RunsContext): Runs {
  const { journal, delivery, scheduler } = context
  const open = new Map<string, OpenRun>()
  const earlyCancels = new Set<string>()
  let isDraining = false
  let idle = Promise.withResolvers<void>()

  const openOf = (sessionId: string) => [...open.values()].filter(({ work }) => work.sessionId === sessionId)
  const reservedOf = (sessionId: string) =>
    openOf(sessionId).flatMap((run) => (run.isReserved ? [run.work] : []))

  function isKnown({ executionId, sessionId }: Dispatch): boolean {
    if (open.has(executionId)) return true
    if (!journal.state.sessions.get(sessionId)?.done.has(executionId)) return false
    delivery.repeat(executionId)
    return true
  }

  /** The refusal of a flood costs nothing: no receipt, no memory. The coordinator's own limits are lower. */
  function isFlood({ sessionId }: Dispatch): boolean {
    const { sessions } = journal.state
    return (
      open.size >= NODE_LIMITS.openRuns || (!sessions.has(sessionId) && sessions.size >= NODE_LIMITS.sessions)
    )
  }

  function dispatch(work: Dispatch): void {
    if (isDraining || isKnown(work)) return
    if (isFlood(work)) {
      context.log.warn({ event: 'run.flood', executionId: work.executionId })
      return
    }
    const { executionId, sessionId } = work
    const run = openRunOf(work, context.spools.create(executionId))
    if (earlyCancels.delete(executionId)) run.stop = 'cancelled'
    open.set(executionId, run)
    if (!journal.state.sessions.has(sessionId))
      journal.note({ t: 'session', sessionId, offerHash: offerHashOf(work) })
    context.history.add({ id: executionId, sessionId, tool: work.tool })
    delivery.begin({ executionId, sessionId, spool: run.spool })
    void handle(run)
  }

  async function handle(run: OpenRun): Promise<void> {
    const { work } = run
    try {
      const checked = await admit(context.judge, work, {
        openHoldsMicros: () => sumHolds(reservedOf(work.sessionId)),
        highestVoucherMicros: () => highestVoucher(reservedOf(work.sessionId)),
        reserve: () => {
          run.isReserved = true
        },
      })
      if (isRefusal(checked)) return await conclude(run, await refusedOutcome(run, checked))
      await accept(run, checked)
    } catch (error) {
      context.log.error({ event: 'run.broken', executionId: work.executionId, err: error })
      await concludeFree(run, 'sandbox_error')
    }
  }

  async function accept(run: OpenRun, checked: CheckedWork): Promise<void> {
    const { work, subject } = run
    const accepted = { ...subject, acceptedAt: instantOf(context.clock.nowMs()) }
    await journal.append({ t: 'accepted', run: accepted, channel: work.channel, voucher: work.voucher })
    if (run.stop) return concludeFree(run, run.stop)
    scheduler.enqueue(work.sessionId, work.executionId, async () => {
      const outcome = await execute(context, run, checked).catch(async (error: unknown) => {
        context.log.error({ event: 'run.broken', executionId: work.executionId, err: error })
        return freeOutcome('sandbox_error', await run.spool.end())
      })
      // Not awaited: the slot is free for the next tool while this one's receipt goes to the disk.
      void conclude(run, outcome)
    })
  }

  async function concludeFree(run: OpenRun, reason: FailureReason): Promise<void> {
    await conclude(run, freeOutcome(reason, await run.spool.end()))
  }

  async function conclude(run: OpenRun, outcome: Outcome): Promise<void> {
    const { executionId } = run.work
    const endedAt = instantOf(context.clock.nowMs())
    const interval = { startedAt: run.startedAt ?? endedAt, endedAt }
    try {
      await issueReceipt(context.issuer, run.subject, outcome, interval)
    } catch (error) {
      // A node that cannot remember what it signs is ended by its journal; nobody gets to see this receipt.
      return context.log.error({ event: 'receipt.unwritten', executionId, err: error })
    }
    open.delete(executionId)
    context.history.update(executionId, summaryOf(outcome, interval))
    delivery.signed(executionId)
    logRun(context.log, run, outcome, journal.state.sessions.get(run.work.sessionId))
    if (open.size > 0) return
    idle.resolve()
    idle = Promise.withResolvers<void>()
  }

  function stop(run: OpenRun, reason: NodeStop): void {
    if (run.stop) return
    run.stop = reason
    run.kill?.()
    const { sessionId, executionId } = run.work
    if (scheduler.remove(sessionId, executionId)) void concludeFree(run, reason)
  }

  return {
    dispatch,
    stopRun: (executionId, reason) => {
      const run = open.get(executionId)
      if (run) return stop(run, reason)
      const [oldest] = earlyCancels
      if (oldest !== undefined && earlyCancels.size >= NODE_LIMITS.earlyCancels) earlyCancels.delete(oldest)
      earlyCancels.add(executionId)
    },
    stopSession: (sessionId, reason) => {
      for (const run of openOf(sessionId)) stop(run, reason)
    },
    stopAll: (reason) => {
      for (const run of open.values()) stop(run, reason)
    },
    openSessions: () => new Set([...open.values()].map(({ work }) => work.sessionId)),
    isOpen: (sessionId) => openOf(sessionId).length > 0,
    counts: scheduler.counts,
    drain: async () => {
      isDraining = true
      if (open.size > 0) await idle.promise
    },
  }
}

/** A refusal is told in the run's output, too: a receipt has no room for sentences. */
async function refusedOutcome(
  run: OpenRun,
  { code, detail }: { code: string; detail: string },
): Promise<Outcome> {
  await explain(run, `rejected: ${code}: ${detail}`)
  return freeOutcome('rejected', await run.spool.end())
}

async function explain(run: OpenRun, text: string): Promise<void> {
  await run.spool.write({ stream: 'stderr', bytes: utf8(`orien: ${text.slice(0, 2_000)}\n`) })
}

async function execute(context: RunsContext, run: OpenRun, checked: CheckedWork): Promise<Outcome> {
  const { executionId, sessionId, deadlineMs, rateMicrosPerMinute } = run.work
  if (run.stop) return freeOutcome(run.stop, await run.spool.end())
  let stopTicking = () => {}
  try {
    const { facts, files, hasStarted } = await runTool(
      context,
      { ...checked, executionId, sessionId, deadlineMs },
      run.spool,
      {
        run: (started) => {
          run.kill = () => started.kill('cancelled')
          if (run.stop) run.kill()
        },
        started: () => {
          stopTicking = startMeter(context, run)
        },
      },
    )
    if (facts.detail) await explain(run, facts.detail)
    const log = await run.spool.end()
    if (!hasStarted) return freeOutcome(run.stop ?? 'sandbox_error', log)
    const terms = { rateMicrosPerMinute, deadlineMs, timeLimitMs: checked.tool.manifest.limits.timeMs }
    return outcomeOf(facts, terms, files, log, run.stop)
  } catch (error) {
    if (!(error instanceof OrienError)) throw error
    // An input that is not there is the agent's mistake; anything else before exec is the provider's.
    const isInput = error.code === 'not_found' || error.code === 'workspace_path_refused'
    await explain(run, `${error.code}: ${error.message}`)
    return freeOutcome(isInput ? 'rejected' : 'sandbox_error', await run.spool.end())
  } finally {
    stopTicking()
  }
}

/** Notes the start and tells the running time until it is called off. */
function startMeter({ clock, delivery, history, timing }: RunsContext, run: OpenRun): () => void {
  const { executionId, deadlineMs } = run.work
  const beganMs = clock.monotonicMs()
  run.startedAt = instantOf(clock.nowMs())
  delivery.started(executionId, run.startedAt)
  history.update(executionId, { status: 'running', startedAt: run.startedAt })
  let cancel = clock.after(timing.meterEveryMs, tick)
  function tick(): void {
    delivery.meter(executionId, Math.min(Math.floor(clock.monotonicMs() - beganMs), deadlineMs))
    cancel = clock.after(timing.meterEveryMs, tick)
  }
  return () => cancel()
}

function summaryOf(outcome: Outcome, interval: Interval): Partial<RunRecord> {
  const { status, reason, exitCode, effectiveMs, cpuMs, maxRssBytes, outputs } = outcome
  return {
    status,
    exitCode,
    effectiveMs,
    cpuMs,
    maxRssBytes,
    outputs,
    ...interval,
    ...(reason ? { reason } : {}),
  }
}

function logRun(log: Log, { work }: OpenRun, outcome: Outcome, session: Session | undefined): void {
  const { executionId, sessionId, tool } = work
  log.info({
    event: 'run.finished',
    executionId,
    sessionId,
    tool,
    status: outcome.status,
    reason: outcome.reason,
    exitCode: outcome.exitCode,
    effectiveMs: outcome.effectiveMs,
    costMicros: outcome.costMicros.toString(),
    cumulativeMicros: session?.head.cumulativeMicros.toString(),
  })
}
