import { OrienError } from '@orien/protocol/errors'

/** How long a call may take, in milliseconds. */
export type Timeouts = {
  /** Until the answer begins; a wanted `Prefer: wait` comes on top. */
  connectMs: number
  /** Between two pieces of an answer. */
  idleMs: number
  /** The whole call, its repetitions included; a wanted `Prefer: wait` comes on top. */
  totalMs: number
}

/** What the SDK uses unless told otherwise. */
export const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 10_000, idleMs: 30_000, totalMs: 90_000 }

/** An abort signal with a moving deadline. */
export type Watch = {
  signal: AbortSignal
  /** Replaces the deadline of the present phase. */
  expectWithin: (ms: number, what: string) => void
  stop: () => void
}

/** Starts to watch one attempt. `stop` has to be called, or its timer keeps the process alive. */
export function startWatch(outer?: AbortSignal): Watch {
  const controller = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  return {
    signal: outer ? AbortSignal.any([outer, controller.signal]) : controller.signal,
    expectWithin: (ms, what) => {
      clearTimeout(timer)
      timer = setTimeout(
        () => controller.abort(new OrienError('timed_out', `${what} within ${ms} ms`)),
        Math.max(0, ms),
      )
    },
    stop: () => clearTimeout(timer),
  }
}
