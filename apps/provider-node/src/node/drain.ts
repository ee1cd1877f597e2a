import type { Clock } from '../clock.ts'
import type { Timing } from '../limits.ts'
import type { Rules } from '../rules/ruleBook.ts'
import type { Leftovers } from './provide.ts'

/** Whether the owner wants the node to end once it has nothing left to do, and how far that is. */
export type Drain = {
  /** Not kept over a restart: a service that starts the node again would end it again at once. */
  endWhenDone(wanted: boolean): void
  isDone(): boolean
  stop(): void
}

/** Looks for the end of a drain. @param onDone called once, when it was wanted and has come */
export function watchDrain(
  context: { rules(): Rules; leftovers(): Leftovers; onDone(): void },
  clock: Clock,
  { drainLookMs }: Pick<Timing, 'drainLookMs'>,
): Drain {
  let cancel = () => {}
  const isDone = () => {
    const { sessions, runs, receipts } = context.leftovers()
    return context.rules().mode !== 'open' && sessions.length + runs + receipts === 0
  }
  const look = () => {
    if (isDone()) context.onDone()
    else cancel = clock.after(drainLookMs, look)
  }
  return {
    isDone,
    endWhenDone: (wanted) => {
      cancel()
      if (wanted) cancel = clock.after(0, look)
    },
    stop: () => cancel(),
  }
}
