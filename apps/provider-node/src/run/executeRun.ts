import { OrienError, utf8 } from '@orien/protocol'
import type { CheckedWork, Refusal } from '../admission/checkDispatch.ts'
import { type Clock, instantOf } from '../clock.ts'
import type { Timing } from '../limits.ts'
import type { Delivery } from '../link/delivery.ts'
import { freeOutcome, type Outcome, outcomeOf } from '../receipts/outcome.ts'
import type { History } from './history.ts'
import type { OpenRun } from './openRun.ts'
import { runTool, type Stage } from './runTool.ts'

/** What a run that is executed touches. */
export type ExecuteContext = Stage & {
  delivery: Delivery
  history: History
  clock: Clock
  timing: Pick<Timing, 'meterEveryMs'>
}

/** A refusal is told in the run's output, too: a receipt has no room for sentences. */
export async function refuseRun(run: OpenRun, { code, detail }: Refusal): Promise<Outcome> {
  run.refusalCode = code
  await explain(run, `rejected: ${code}: ${detail}`)
  return freeOutcome('rejected', await run.spool.end())
}

async function explain(run: OpenRun, text: string): Promise<void> {
  await run.spool.write({ stream: 'stderr', bytes: utf8(`orien: ${text.slice(0, 2_000)}\n`) })
}

/** Executes a run whose turn has come, and says how it went. Fails only by a mistake of ours. */
export async function executeRun(
  context: ExecuteContext,
  run: OpenRun,
  checked: CheckedWork,
): Promise<Outcome> {
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
          run.extend = (laterMs) => started.extend(laterMs)
          if (run.stop) run.kill()
          // Its grant may have been raised while its files were read.
          run.extend(run.work.deadlineMs)
        },
        started: (agoMs) => {
          stopTicking = startMeter(context, run, agoMs)
        },
      },
    )
    delete run.extend
    run.timeline.runMs = facts.effectiveMicros / 1_000
    // By the helper's clock: what this process does afterwards (output, hashes) is no part of the run.
    if (run.startedAt !== undefined) run.endedAt = instantOf(Date.parse(run.startedAt) + facts.lifeMs)
    if (facts.detail) await explain(run, facts.detail)
    const log = await run.spool.end()
    if (!hasStarted) return freeOutcome(run.stop ?? 'sandbox_error', log)
    const { timeMs: timeLimitMs } = checked.tool.manifest.limits
    const terms = {
      rateMicrosPerMinute,
      deadlineMs: run.work.deadlineMs,
      timeLimitMs,
      mayHaveMore: mayHaveMore(run),
    }
    return outcomeOf(facts, terms, files, log, run.stop)
  } catch (error) {
    if (!(error instanceof OrienError)) throw error
    // An input that is not there is the agent's mistake; anything else before exec is the provider's.
    const isInput = error.code === 'not_found' || error.code === 'workspace_path_refused'
    run.refusalCode = error.code
    await explain(run, `${error.code}: ${error.message}`)
    return freeOutcome(isInput ? 'rejected' : 'sandbox_error', await run.spool.end())
  } finally {
    stopTicking()
  }
}

const mayHaveMore = ({ work: { holdMicros, mostMicros } }: OpenRun) =>
  mostMicros !== undefined && holdMicros < mostMicros

/** Notes the start and tells the running time until it is called off. */
function startMeter(
  { clock, delivery, history, timing }: ExecuteContext,
  run: OpenRun,
  agoMs: number,
): () => void {
  const { executionId } = run.work
  const beganMs = clock.monotonicMs() - agoMs
  run.timeline.startedMs = beganMs
  run.startedAt = instantOf(clock.nowMs() - agoMs)
  delivery.started(executionId, run.startedAt)
  history.update(executionId, { status: 'running', startedAt: run.startedAt })
  let cancel = clock.after(nextTickMs(agoMs), tick)
  /** At its half a grant is looked at anew, and every moment until then is one less for the answer. */
  function nextTickMs(runningMs: number): number {
    const toHalfMs = (run.askAtMs ?? 0) - runningMs
    return toHalfMs > 0 ? Math.min(Math.ceil(toHalfMs), timing.meterEveryMs) : timing.meterEveryMs
  }
  function tick(): void {
    const { deadlineMs } = run.work
    const runningMs = clock.monotonicMs() - beganMs
    delivery.meter(executionId, Math.min(Math.floor(runningMs), deadlineMs), deadlineMs)
    cancel = clock.after(nextTickMs(runningMs), tick)
  }
  return () => cancel()
}
