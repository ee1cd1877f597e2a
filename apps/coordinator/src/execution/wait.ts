import type { ExecutionView } from '@orien/protocol'
import type { Caller, Context } from '../context.ts'
import type { Bus, RunEnd } from '../events/bus.ts'
import { executionRow } from './read.ts'
import type { Joined } from './store.ts'
import { endedRow, viewResult } from './view.ts'

/** Hears of the ends of a session's runs from the moment it is made. */
type EndWatch = {
  /** The end of a run, null when it is known to have ended and no more; undefined when the time is over first. */
  next: (executionId: string, withinMs: number) => Promise<RunEnd | null | undefined>
  close: () => void
}

function watchEnds(bus: Bus, sessionId: string, signal: AbortSignal): EndWatch {
  const ends = new Map<string, RunEnd | null>()
  let wake = () => {}
  const unsubscribe = bus.subscribe(sessionId, (message) => {
    if (message.kind !== 'event' || message.ended === undefined) return
    ends.set(message.ended, message.end ?? null)
    wake()
  })
  const onAbort = () => wake()
  signal.addEventListener('abort', onAbort)
  return {
    next: async (executionId, withinMs) => {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, withinMs)
        wake = () => {
          if (!ends.has(executionId) && !signal.aborted) return
          clearTimeout(timer)
          resolve()
        }
        wake()
      })
      const end = ends.get(executionId)
      ends.delete(executionId)
      return end
    },
    close: () => {
      signal.removeEventListener('abort', onAbort)
      unsubscribe()
    },
  }
}

const isOver = ({ execution }: Joined) =>
  execution.status === 'completed' || execution.status === 'failed' || execution.dispute !== null

/** How often a waiting request looks for itself, in case the word came to another replica. */
const LOOK_EVERY_MS = 2_000

/**
 * Submits a run and waits until it has ended, at most `waitMs`; the run itself goes on either way. What the receipt
 * says is answered from the receipt: the row is read again only when the word of the end did not come.
 *
 * @param submit accepts the run, or finds the one that was accepted under the same key
 * @throws OrienError whatever `submit` throws
 */
export async function submitAndWait(
  ctx: Context,
  caller: Caller,
  input: { sessionId: string; waitMs: number; signal: AbortSignal },
  submit: () => Promise<Joined>,
): Promise<ExecutionView> {
  const untilMs = ctx.clock.monotonicMs() + input.waitMs
  // Before the work is sent: an end in between would not be heard of.
  const ends = watchEnds(ctx.bus, input.sessionId, input.signal)
  try {
    let row = await submit()
    for (;;) {
      const leftMs = untilMs - ctx.clock.monotonicMs()
      if (isOver(row) || leftMs <= 0 || input.signal.aborted) return await viewResult(ctx.db.read, row)
      const end = await ends.next(row.execution.id, Math.min(leftMs, LOOK_EVERY_MS))
      if (end) return await viewResult(ctx.db.read, endedRow(row, end), end.receipt.logBytes)
      row = await executionRow(ctx, caller, row.execution.id)
    }
  } finally {
    ends.close()
  }
}
