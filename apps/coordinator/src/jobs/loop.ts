import type { Context } from '../context.ts'

/** Work that is done again and again, one pass at a time. */
export type Loop = {
  /** Asks for a pass soon; many requests make one pass. */
  wake: () => void
  /** Ends after the pass under way. */
  stop: () => Promise<void>
}

/**
 * Runs `pass` every `everyMs`, at once when woken, and again at once while it says that it moved something.
 * A pass that fails is tried again at the next turn. Each pass is one line: that of one which moved nothing is for
 * `debug`, or an idle coordinator would fill its log with four of them a second.
 */
export function startLoop(
  { log, metrics, clock }: Pick<Context, 'log' | 'metrics' | 'clock'>,
  { job, everyMs }: { job: 'relayer' | 'sweep'; everyMs: number },
  pass: () => Promise<boolean>,
): Loop {
  let isStopped = false
  let isWoken = false
  let wake = () => {}
  const rest = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, everyMs)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
      if (isWoken || isStopped) wake()
    })
  const run = async () => {
    while (!isStopped) {
      isWoken = false
      const startMs = clock.monotonicMs()
      const tell = (status: 'moved' | 'idle' | 'failed') => {
        const durationMs = Math.round((clock.monotonicMs() - startMs) * 10) / 10
        metrics.jobSeconds.observe({ job, status }, durationMs / 1_000)
        return { event: 'job', job, status, durationMs }
      }
      const hasMoved = await pass().then(
        (moved) => {
          if (moved) log.info(tell('moved'))
          else log.debug(tell('idle'))
          return moved
        },
        (err: unknown) => {
          log.error({ ...tell('failed'), err })
          return false
        },
      )
      if (!hasMoved) await rest()
    }
  }
  const running = run()
  return {
    wake: () => {
      isWoken = true
      wake()
    },
    stop: async () => {
      isStopped = true
      wake()
      await running
    },
  }
}
