import { type Receipt, utf8 } from '@orien/protocol'
import type { CheckedWork } from '../admission/checkDispatch.ts'
import { fileArguments } from '../argv/build.ts'
import type { Spool } from '../output/spool.ts'
import type { Driver, Run, RunFacts } from '../sandbox/driver.ts'
import { type Before, hashInputs, hashOutputs, snapshotFiles } from './hashFiles.ts'
import type { Workspaces } from './workspaces.ts'

/** What lends a run its sandbox and its files. */
export type Stage = { driver: Driver; workspaces: Workspaces }

/** A tool with checked arguments, in a session's workspace. */
export type ToolRun = CheckedWork & {
  executionId: string
  sessionId: string
  deadlineMs: number
}

/** A run that is over: what the driver measured, and the files around it. */
export type FinishedRun = { facts: RunFacts; files: Pick<Receipt, 'inputs' | 'outputs'>; hasStarted: boolean }

/** Everything a tool finds in its environment besides what its manifest says; nothing of the node's own. */
const BASE_ENV = { HOME: '/workspace', TMPDIR: '/tmp', LANG: 'C.UTF-8', PATH: '/usr/local/bin:/usr/bin:/bin' }

/**
 * Runs a tool: hashes what goes in, executes, hashes what came out. Only the middle is effective time.
 *
 * @param onRun is given the run before it starts, to kill it
 * @throws OrienError when the workspace or an input file is not to be had; then nothing was executed
 */
export async function runTool(
  { driver, workspaces }: Stage,
  work: ToolRun,
  spool: Spool,
  on: { run(run: Run): void; started(agoMs: number): void },
): Promise<FinishedRun> {
  const { sessionId } = work
  const workspaceDir = await workspaces.open(sessionId)
  const inputs = await hashInputs(workspaces, sessionId, fileArguments(work.tool.manifest, work.args))
  const before = await snapshotFiles(workspaces, sessionId)
  let hasStarted = false
  const run = driver.run(specOf(work, workspaceDir), (chunk) => spool.write(chunk))
  on.run(run)
  void run.started.then((agoMs) => {
    hasStarted = true
    on.started(agoMs)
  })
  const facts = await run.finished
  const outputs = hasStarted ? await outputsOf(workspaces, sessionId, before) : []
  return { facts, files: { inputs, outputs }, hasStarted }
}

/** A workspace that cannot be read afterwards does not take the pay for the work away. */
async function outputsOf(
  workspaces: Workspaces,
  sessionId: string,
  before: Before,
): Promise<Receipt['outputs']> {
  return hashOutputs(workspaces, sessionId, before).catch(() => [])
}

function specOf({ tool, args, argv, executionId, deadlineMs }: ToolRun, workspaceDir: string) {
  const { limits, env, stdin } = tool.manifest
  const input = stdin === undefined ? undefined : args[stdin]
  return {
    executionId,
    workspaceDir,
    argv: [tool.executable, ...argv],
    env: { ...BASE_ENV, ...env },
    ...(typeof input === 'string' ? { stdin: utf8(input) } : {}),
    limits,
    deadlineMs,
    readOnlyPaths: tool.readOnlyPaths,
    manifestHash: tool.hash,
  }
}
