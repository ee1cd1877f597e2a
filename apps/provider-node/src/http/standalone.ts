import { checkArguments, type Id, makeId, OrienError } from '@orien/protocol'
import { buildArgv } from '../argv/build.ts'
import { type Clock, instantOf } from '../clock.ts'
import type { Log } from '../log.ts'
import type { ToolSet } from '../manifest/tools.ts'
import type { Spool, Spools } from '../output/spool.ts'
import type { Random } from '../random.ts'
import { failureOf } from '../receipts/outcome.ts'
import type { History, RunRecord } from '../run/history.ts'
import { runTool, type Stage, type ToolRun } from '../run/runTool.ts'
import type { Scheduler } from '../run/scheduler.ts'

/** Runs tools for the owner of the machine: for development, with nobody who pays and no receipts. */
export type Standalone = {
  /** @throws OrienError `tool_not_offered`, `validation_failed` */
  execute(request: {
    sessionId?: Id<'session'> | undefined
    tool: string
    args: Record<string, unknown>
  }): RunRecord
  outputOf(executionId: string): Spool | undefined
  /** Kills what runs in a session and waits for its end. */
  stopSession(sessionId: string): Promise<void>
  stop(): Promise<void>
}

export type StandaloneContext = Stage & {
  tools: ToolSet
  spools: Spools
  scheduler: Scheduler
  history: History
  clock: Clock
  random: Random
  log: Log
}

type Open = { sessionId: string; kill?: () => void; isStopped: boolean; done: Promise<void> }

/** @param outputs where the output of each run is kept; the history's owner empties it */
export function createStandalone(context: StandaloneContext, outputs: Map<string, Spool>): Standalone {
  const { clock, random, history, tools, scheduler } = context
  const open = new Map<string, Open>()
  const newId = <K extends 'execution' | 'session'>(kind: K) => makeId(kind, clock.nowMs(), random.bytes(10))

  function plan({ tool: id, args }: { tool: string; args: Record<string, unknown> }) {
    const tool = tools.get(id)
    if (!tool) throw new OrienError('tool_not_offered', `there is no tool ${id} here`)
    const checked = checkArguments(tool.manifest.arguments, args)
    if (!checked.ok) throw new OrienError('validation_failed', undefined, { issues: checked.issues })
    const built = buildArgv(tool.manifest, checked.args)
    if (!built.ok) throw new OrienError('validation_failed', undefined, { issues: built.issues })
    return { tool, args: checked.args, argv: built.argv, deadlineMs: tool.manifest.limits.timeMs }
  }

  async function run(work: ToolRun, entry: Open, spool: Spool): Promise<void> {
    try {
      const { facts, files } = await runTool(context, work, spool, {
        run: (started) => {
          entry.kill = () => started.kill('cancelled')
          if (entry.isStopped) entry.kill()
        },
        started: () =>
          history.update(work.executionId, { status: 'running', startedAt: instantOf(clock.nowMs()) }),
      })
      const reason = failureOf(facts, { deadlineMs: work.deadlineMs, timeLimitMs: work.deadlineMs })
      history.update(work.executionId, {
        status: reason ? 'failed' : 'completed',
        ...(reason ? { reason } : {}),
        exitCode: facts.exitCode,
        effectiveMs: Math.ceil(facts.effectiveMicros / 1_000),
        cpuMs: Math.ceil(facts.cpuMicros / 1_000),
        maxRssBytes: facts.maxRssBytes,
        outputs: files.outputs,
        endedAt: instantOf(clock.nowMs()),
      })
    } catch (error) {
      const isKnown = error instanceof OrienError
      context.log.error({ event: 'run.broken', executionId: work.executionId, err: error })
      history.update(work.executionId, { status: 'failed', reason: isKnown ? 'rejected' : 'sandbox_error' })
    } finally {
      await spool.end()
      open.delete(work.executionId)
    }
  }

  const stopWhere = async (matches: (entry: Open) => boolean) => {
    const stopped = [...open.values()].filter(matches)
    for (const entry of stopped) {
      entry.isStopped = true
      entry.kill?.()
    }
    await Promise.all(stopped.map(({ done }) => done))
  }

  return {
    execute: (request) => {
      const planned = plan(request)
      const executionId = newId('execution')
      const sessionId = request.sessionId ?? newId('session')
      const spool = context.spools.create(executionId)
      outputs.set(executionId, spool)
      history.add({ id: executionId, sessionId, tool: request.tool })
      const done = Promise.withResolvers<void>()
      const entry: Open = { sessionId, isStopped: false, done: done.promise }
      open.set(executionId, entry)
      scheduler.enqueue(sessionId, executionId, () =>
        run({ ...planned, executionId, sessionId }, entry, spool).finally(done.resolve),
      )
      const record = history.get(executionId)
      if (!record) throw new OrienError('internal_error')
      return record
    },
    outputOf: (executionId) => outputs.get(executionId),
    stopSession: (sessionId) => stopWhere((entry) => entry.sessionId === sessionId),
    stop: () => stopWhere(() => true),
  }
}
