import type { ExecutionView, SessionView, UsdcMicros } from '@orien/protocol'
import type { Execution } from './execution/execution.ts'
import type { LogPiece } from './execution/logs.ts'
import type { FileContent } from './files/upload.ts'
import type { OpenSessionRequest } from './session/open.ts'
import type { Session } from './session/session.ts'

/** One run from nothing to its result. Amounts in micro-USDC. */
export type RunRequest = {
  /** Which provider; the cheapest that is online and offers the tool when left out. */
  provider?: SessionView['providerId'] | undefined
  tool: string
  args?: Record<string, unknown> | undefined
  budgetMicros: UsdcMicros
  maxCostMicros?: UsdcMicros | undefined
  maxRateMicros?: UsdcMicros | undefined
  mission?: string | undefined
  /** Files to write into the workspace first, by name. */
  files?: Record<string, FileContent> | undefined
  /** Names of files to read from it afterwards, when the run has completed. */
  download?: readonly string[] | undefined
  /** Told of output while it runs. */
  onLog?: ((piece: LogPiece) => void) | undefined
  /** Names the caller's turn: the same turn opens one session and runs once, however often it is repeated. */
  turnId?: string | undefined
  signal?: AbortSignal | undefined
}

/** What came of it. */
export type RunResult = {
  session: Session
  /** Its receipt is checked. A failed run is a result too: see `status` and `reason`. */
  execution: ExecutionView
  files: Record<string, Uint8Array<ArrayBuffer>>
  /** Waits until payout and refund are final. */
  settled: () => Promise<SessionView>
}

async function forwardLogs(
  execution: Execution,
  onLog: NonNullable<RunRequest['onLog']>,
  signal?: AbortSignal,
) {
  for await (const piece of execution.logs({ signal })) onLog(piece)
}

async function work(session: Session, request: RunRequest): Promise<Omit<RunResult, 'settled' | 'session'>> {
  const { tool, args, maxCostMicros, turnId, signal, onLog } = request
  for (const [name, content] of Object.entries(request.files ?? {})) {
    await session.upload(name, content, { signal })
  }
  const started = await session.execute({
    tool,
    args,
    maxCostMicros,
    turnId,
    signal,
    // Without a listener for output there is nothing to do but wait: one request then does it all.
    ...(onLog ? {} : { waitMs: 30_000 }),
  })
  const [execution] = await Promise.all([
    started.wait({ signal }),
    onLog ? forwardLogs(started, onLog, signal) : undefined,
  ])
  const files: RunResult['files'] = {}
  if (execution.status === 'completed') {
    for (const name of request.download ?? []) files[name] = await session.download(name, { signal })
  }
  return { execution, files }
}

/**
 * Opens a session, runs one tool in it and ends it, whatever happened in between.
 *
 * @param open how a session is opened; the provider is already chosen
 */
export async function runOnce(
  request: RunRequest & { provider: SessionView['providerId'] },
  open: (request: OpenSessionRequest) => Promise<Session>,
): Promise<RunResult> {
  const { provider, budgetMicros, maxRateMicros, mission, turnId, signal } = request
  const session = await open({ providerId: provider, budgetMicros, maxRateMicros, mission, turnId, signal })
  let result: Awaited<ReturnType<typeof work>>
  try {
    result = await work(session, request)
  } catch (error) {
    // Its own failure must not hide the first one; the coordinator ends a session without an agent by itself.
    await session.end().catch(() => undefined)
    throw error
  }
  await session.end()
  return { session, ...result, settled: () => session.settled() }
}
