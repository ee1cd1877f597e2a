import type { ExecutionView } from '@orien/protocol'
import type { ExecuteRequest, LogPiece, Session } from '@orien/sdk'

/**
 * Runs a tool and hands its output over as it comes. An abort stops the run on its machine; what it used is billed,
 * so the result is waited for all the same.
 */
export async function streamRun(
  session: Session,
  request: Omit<ExecuteRequest, 'signal'>,
  on: { started?: (view: ExecutionView) => void; output: (piece: LogPiece) => void },
  signal: AbortSignal,
): Promise<ExecutionView> {
  signal.throwIfAborted()
  const execution = await session.execute(request)
  const cancel = () => void execution.cancel().catch(() => undefined)
  signal.addEventListener('abort', cancel, { once: true })
  if (signal.aborted) cancel()
  on.started?.(execution.view)
  try {
    for await (const piece of execution.logs()) on.output(piece)
    return await execution.wait()
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}
