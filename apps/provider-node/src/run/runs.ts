import { type Dispatch, type Extension, type FailureReason, movedBytes } from '@orien/protocol'
import { admit, type Judge, sumHolds } from '../admission/admit.ts'
import { type CheckedWork, isRefusal, type Refusal } from '../admission/checkDispatch.ts'
import { instantOf } from '../clock.ts'
import type { EarningsBook } from '../earnings/book.ts'
import type { EarningsLine } from '../earnings/line.ts'
import type { Journal } from '../journal/journal.ts'
import { NODE_LIMITS } from '../limits.ts'
import type { Spools } from '../output/spool.ts'
import { type Interval, type Issuer, issueReceipt } from '../receipts/issueReceipt.ts'
import { freeOutcome, type NodeStop, type Outcome } from '../receipts/outcome.ts'
import { checkRules } from '../rules/checkRules.ts'
import type { RuleBook } from '../rules/ruleBook.ts'
import { type Telling, tellRun } from '../telemetry/tellRun.ts'
import { type ExecuteContext, executeRun, refuseRun } from './executeRun.ts'
import { extendRun } from './extendRun.ts'
import type { RunRecord } from './history.ts'
import { inOrder, type Order } from './inOrder.ts'
import { type OpenRun, offerHashOf, openRunOf } from './openRun.ts'
import type { Scheduler } from './scheduler.ts'

/** Everything a paid run touches. */
export type RunsContext = ExecuteContext &
  Telling & {
    journal: Journal
    issuer: Issuer
    judge: Judge
    rules: Pick<RuleBook, 'current'>
    earnings: Pick<EarningsBook, 'note'>
    spools: Spools
    scheduler: Scheduler
  }

/** A run that has no receipt yet. */
export type RunUnderWay = Pick<Dispatch, 'executionId' | 'sessionId' | 'tool' | 'deadlineMs'> & {
  /** 0 while it waits. */
  runningMs: number
  holdMicros: string
  startedAt?: string
}

/** The paid runs of a node: from a dispatch to a signed receipt, whatever happens in between. */
export class Runs {
  readonly #context: RunsContext
  readonly #open = new Map<string, OpenRun>()
  readonly #earlyCancels = new Set<string>()
  readonly #admissions: Order = inOrder()
  #isDraining = false
  #idle = Promise.withResolvers<void>()
  #concluded = Promise.withResolvers<void>()

  constructor(context: RunsContext) {
    this.#context = context
  }

  /** Every dispatch ends in exactly one receipt, however often it comes. */
  dispatch(work: Dispatch, traceparent?: string): void {
    const { journal, spools, history, delivery, clock, log } = this.#context
    const { executionId, sessionId } = work
    if (this.#isDraining || this.#isKnown(work)) return
    if (this.#isFlood(work)) {
      log.warn({ event: 'run.flood', executionId })
      return
    }
    const run = openRunOf(work, spools.create(executionId), { receivedMs: clock.monotonicMs(), traceparent })
    if (this.#earlyCancels.delete(executionId)) run.stop = 'cancelled'
    this.#open.set(executionId, run)
    if (!journal.state.sessions.has(sessionId))
      journal.note({ t: 'session', sessionId, offerHash: offerHashOf(work) })
    history.add({ id: executionId, sessionId, tool: work.tool })
    delivery.begin({ executionId, sessionId, spool: run.spool })
    void this.#handle(run)
  }

  /** Raises the grant of a run that goes on, when its voucher is good for it; see {@link extendRun}. */
  extend(extension: Extension): void {
    const { judge, journal, log } = this.#context
    const { executionId, sessionId } = extension
    const others = () =>
      this.#openOf(sessionId).filter((run) => run.isReserved && run.work.executionId !== executionId)
    this.#admissions
      .next(sessionId, async () => {
        const run = this.#open.get(executionId)
        const heldMicros = sumHolds(others().map(({ work }) => work))
        const refusal = run ? await extendRun({ judge, journal }, run, extension, heldMicros) : null
        if (refusal) log.warn({ event: 'run.unextended', executionId, ...refusal })
      })
      .catch((err: unknown) => log.error({ event: 'run.unextended', executionId, err }))
  }

  stopRun(executionId: string, reason: NodeStop): void {
    const run = this.#open.get(executionId)
    if (run) {
      this.#stop(run, reason)
      return
    }
    const [oldest] = this.#earlyCancels
    if (oldest !== undefined && this.#earlyCancels.size >= NODE_LIMITS.earlyCancels)
      this.#earlyCancels.delete(oldest)
    this.#earlyCancels.add(executionId)
  }

  stopSession(sessionId: string, reason: NodeStop): void {
    for (const run of this.#openOf(sessionId)) this.#stop(run, reason)
  }

  stopAll(reason: NodeStop): void {
    for (const run of [...this.#open.values()]) this.#stop(run, reason)
  }

  /** Sessions with something under way. */
  openSessions(): Set<string> {
    return new Set(Array.from(this.#open.values(), ({ work }) => work.sessionId))
  }

  isOpen(sessionId: string): boolean {
    return this.#openOf(sessionId).length > 0
  }

  /** What is under way, for the owner: no arguments, no output. */
  underWay(): RunUnderWay[] {
    const { clock } = this.#context
    return Array.from(this.#open.values(), ({ work, startedAt, timeline }) => {
      const { executionId, sessionId, tool, deadlineMs, holdMicros } = work
      const beganMs = timeline.startedMs
      const runningMs = beganMs === undefined ? 0 : Math.floor(clock.monotonicMs() - beganMs)
      return {
        ...{ executionId, sessionId, tool, deadlineMs, runningMs },
        holdMicros: holdMicros.toString(),
        ...(startedAt === undefined ? {} : { startedAt }),
      }
    })
  }

  /** Resolves when no run of the session is under way. */
  async closed(sessionId: string): Promise<void> {
    while (this.isOpen(sessionId)) await this.#concluded.promise
  }

  counts(): { running: number; queued: number } {
    return this.#context.scheduler.counts()
  }

  /** Takes no more work; resolves when every run has its receipt. */
  async drain(): Promise<void> {
    this.#isDraining = true
    if (this.#open.size > 0) await this.#idle.promise
  }

  #openOf(sessionId: string): OpenRun[] {
    return [...this.#open.values()].filter(({ work }) => work.sessionId === sessionId)
  }

  #isKnown({ executionId, sessionId }: Dispatch): boolean {
    if (this.#open.has(executionId)) return true
    const { journal, delivery } = this.#context
    if (!journal.state.sessions.get(sessionId)?.done.has(executionId)) return false
    delivery.repeat(executionId)
    return true
  }

  /** The refusal of a flood costs nothing: no receipt, no memory. The coordinator's own limits are lower. */
  #isFlood({ sessionId }: Dispatch): boolean {
    const { sessions } = this.#context.journal.state
    const isNew = !sessions.has(sessionId)
    return this.#open.size >= NODE_LIMITS.openRuns || (isNew && sessions.size >= NODE_LIMITS.sessions)
  }

  async #handle(run: OpenRun): Promise<void> {
    const { sessionId, executionId } = run.work
    try {
      const checked = await this.#admissions.next(sessionId, () => this.#admit(run))
      if (run.stop) await this.#concludeFree(run, run.stop)
      else if (isRefusal(checked)) await this.#conclude(run, await refuseRun(run, checked))
      else this.#enqueue(run, checked)
    } catch (error) {
      this.#context.log.error({ event: 'run.broken', executionId, err: error })
      await this.#concludeFree(run, 'sandbox_error')
    }
  }

  /**
   * One run of a session after the other: what the next one may lean on is then in the journal and checked on the
   * chain, the higher voucher of a run that overtook it included.
   */
  async #admit(run: OpenRun): Promise<CheckedWork | Refusal> {
    const { judge, journal, clock, rules } = this.#context
    const { work, subject } = run
    const closed = checkRules(rules.current(), work, journal.state.sessions)
    if (closed) return closed
    const reserved = this.#openOf(work.sessionId).flatMap((other) => (other.isReserved ? [other.work] : []))
    const checked = await admit(judge, work, sumHolds(reserved))
    if (isRefusal(checked)) return checked
    // The chain may have taken seconds to answer, and the owner may have decided meanwhile.
    const closedMeanwhile = checkRules(rules.current(), work, journal.state.sessions)
    if (closedMeanwhile) return closedMeanwhile
    run.isReserved = true
    const accepted = { ...subject, acceptedAt: instantOf(clock.nowMs()) }
    await journal.append({ t: 'accepted', run: accepted, channel: work.channel, voucher: work.voucher })
    return checked
  }

  #enqueue(run: OpenRun, checked: CheckedWork): void {
    const { scheduler, clock, log } = this.#context
    const { sessionId, executionId } = run.work
    scheduler.enqueue(sessionId, executionId, async () => {
      run.timeline.beganMs = clock.monotonicMs()
      const outcome = await executeRun(this.#context, run, checked).catch(async (error: unknown) => {
        log.error({ event: 'run.broken', executionId, err: error })
        return freeOutcome('sandbox_error', await run.spool.end())
      })
      // Not awaited: the slot is free for the next tool while this one's receipt goes to the disk.
      void this.#conclude(run, outcome)
    })
  }

  async #concludeFree(run: OpenRun, reason: FailureReason): Promise<void> {
    await this.#conclude(run, freeOutcome(reason, await run.spool.end()))
  }

  async #conclude(run: OpenRun, outcome: Outcome): Promise<void> {
    const { clock, issuer, log, history, delivery, earnings } = this.#context
    const { executionId } = run.work
    const endedAt = run.endedAt ?? instantOf(clock.nowMs())
    const interval = { startedAt: run.startedAt ?? endedAt, endedAt }
    try {
      // From this turn on its cost stands in the chain: the hold beside it would ask the next dispatch's voucher for more
      // than the coordinator asked for, as long as the receipt is on its way to the disk.
      run.isReserved = false
      await issueReceipt(issuer, run.subject, outcome, interval)
    } catch (error) {
      // A node that cannot remember what it signs is ended by its journal; nobody gets to see this receipt.
      log.error({ event: 'receipt.unwritten', executionId, err: error })
      return
    }
    earnings.note(lineOf(run.work, outcome, endedAt))
    this.#open.delete(executionId)
    history.update(executionId, summaryOf(outcome, interval))
    delivery.signed(executionId, tellRun(this.#context, issuer, run, outcome, clock.monotonicMs()))
    this.#concluded.resolve()
    this.#concluded = Promise.withResolvers<void>()
    if (this.#open.size > 0) return
    this.#idle.resolve()
    this.#idle = Promise.withResolvers<void>()
  }

  #stop(run: OpenRun, reason: NodeStop): void {
    if (run.stop) return
    run.stop = reason
    run.kill?.()
    const { sessionId, executionId } = run.work
    if (this.#context.scheduler.remove(sessionId, executionId)) void this.#concludeFree(run, reason)
  }
}

function lineOf(work: Dispatch, { effectiveMs, costMicros }: Outcome, at: string): EarningsLine {
  const { executionId, sessionId, tool } = work
  return { t: 'run', at, executionId, sessionId, tool, effectiveMs, costMicros }
}

function summaryOf(outcome: Outcome, interval: Interval): Partial<RunRecord> {
  const { status, reason, exitCode, effectiveMs, cpuMs, maxRssBytes, outputs } = outcome
  const figures = { exitCode, effectiveMs, cpuMs, maxRssBytes, ...movedBytes(outcome) }
  return { status, ...figures, outputs, ...interval, ...(reason ? { reason } : {}) }
}
