import type { Logger } from 'pino'

/** Work that is done again and again, one pass at a time. */
export type Loop = {
  /** Asks for a pass soon; many requests make one pass. */
  wake: () => void
  /** Ends after the pass under way. */
  stop: () => Promise<void>
}

/**
 * Runs `pass` every `everyMs`, at once when woken, and again at once while it says that it moved something.
 * A pass that fails is logged and tried again at the next turn.
 */
export function startLoop(
  { name, everyMs, log }: { name: string; everyMs: number; log: Logger },
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
      const hasMoved = await pass().catch((err: unknown) => {
        log.error({ event: 'job.failed', job: name, err })
        return false
      })
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
