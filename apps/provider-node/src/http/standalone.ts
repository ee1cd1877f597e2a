import { checkArguments, type Id, type Issue, invariant, makeId, OrienError } from '@orien/protocol'
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

/** What runs without a coordinator touch. */
export type StandaloneContext = Stage & {
  tools: ToolSet
  spools: Spools
  scheduler: Scheduler
  history: History
  /** The output of each run, for as long as it is remembered. */
  outputs: Map<string, Spool>
  clock: Clock
  random: Random
  log: Log
}

/** A tool that the owner asks for. */
export type ToolRequest = {
  sessionId?: Id<'session'> | undefined
  tool: string
  args: Record<string, unknown>
}

type Open = { sessionId: string; kill?: () => void; isStopped: boolean; done: Promise<void> }

/** Runs tools for the owner of the machine: for development, with nobody who pays and no receipts. */
export class Standalone {
  readonly #context: StandaloneContext
  readonly #open = new Map<string, Open>()

  constructor(context: StandaloneContext) {
    this.#context = context
  }

  /** @throws OrienError `tool_not_offered`, `validation_failed` */
  execute(request: ToolRequest): RunRecord {
    const { spools, outputs, history, scheduler } = this.#context
    const planned = plan(this.#context.tools, request)
    const executionId = this.#newId('execution')
    const sessionId = request.sessionId ?? this.#newId('session')
    const spool = spools.create(executionId)
    outputs.set(executionId, spool)
    history.add({ id: executionId, sessionId, tool: request.tool })
    const done = Promise.withResolvers<void>()
    const entry: Open = { sessionId, isStopped: false, done: done.promise }
    this.#open.set(executionId, entry)
    scheduler.enqueue(sessionId, executionId, () =>
      this.#run({ ...planned, executionId, sessionId }, entry, spool).finally(done.resolve),
    )
    const record = history.get(executionId)
    invariant(record, 'what was just added is remembered')
    return record
  }

  outputOf(executionId: string): Spool | undefined {
    return this.#context.outputs.get(executionId)
  }

  /** Kills what runs in a session and waits for its end. */
  stopSession(sessionId: string): Promise<void> {
    return this.#stop((entry) => entry.sessionId === sessionId)
  }

  stop(): Promise<void> {
    return this.#stop(() => true)
  }

  #newId<K extends 'execution' | 'session'>(kind: K): Id<K> {
    const { clock, random } = this.#context
    return makeId(kind, clock.nowMs(), random.bytes(10))
  }

  async #stop(matches: (entry: Open) => boolean): Promise<void> {
    const stopped = [...this.#open.values()].filter(matches)
    for (const entry of stopped) {
      entry.isStopped = true
      entry.kill?.()
    }
    await Promise.all(stopped.map(({ done }) => done))
  }

  async #run(work: ToolRun, entry: Open, spool: Spool): Promise<void> {
    const { history, log } = this.#context
    const { executionId } = work
    try {
      history.update(executionId, await this.#execute(work, entry, spool))
    } catch (error) {
      log.error({ event: 'run.broken', executionId, err: error })
      const reason = error instanceof OrienError ? 'rejected' : 'sandbox_error'
      history.update(executionId, { status: 'failed', reason })
    } finally {
      this.#open.delete(executionId)
      await spool.end()
    }
  }

  async #execute(work: ToolRun, entry: Open, spool: Spool): Promise<Partial<RunRecord>> {
    const { clock, history } = this.#context
    const now = () => instantOf(clock.nowMs())
    const { facts, files } = await runTool(this.#context, work, spool, {
      run: (started) => {
        entry.kill = () => started.kill('cancelled')
        if (entry.isStopped) entry.kill()
      },
      started: () => history.update(work.executionId, { status: 'running', startedAt: now() }),
    })
    const reason = failureOf(facts, { deadlineMs: work.deadlineMs, timeLimitMs: work.deadlineMs })
    return {
      status: reason ? 'failed' : 'completed',
      ...(reason ? { reason } : {}),
      exitCode: facts.exitCode,
      effectiveMs: Math.ceil(facts.effectiveMicros / 1_000),
      cpuMs: Math.ceil(facts.cpuMicros / 1_000),
      maxRssBytes: facts.maxRssBytes,
      ...facts.io,
      outputs: files.outputs,
      endedAt: now(),
    }
  }
}

const refuse = (issues: readonly Issue[]) => new OrienError('validation_failed', undefined, { issues })

function plan(tools: ToolSet, { tool: id, args }: ToolRequest): Omit<ToolRun, 'executionId' | 'sessionId'> {
  const tool = tools.get(id)
  if (!tool) throw new OrienError('tool_not_offered', `there is no tool ${id} here`)
  const checked = checkArguments(tool.manifest.arguments, args)
  if (!checked.ok) throw refuse(checked.issues)
  const built = buildArgv(tool.manifest, checked.args)
  if (!built.ok) throw refuse(built.issues)
  return { tool, args: checked.args, argv: built.argv, deadlineMs: tool.manifest.limits.timeMs }
}
