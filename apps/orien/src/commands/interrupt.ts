const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Runs work that a signal may interrupt. The first one asks the work to wind up; a second one ends the process.
 *
 * @param work is given a signal that aborts when the person wants to stop
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort()
  }
  for (const name of SIGNALS) process.on(name, onSignal)
  try {
    return await work(controller.signal)
  } finally {
    for (const name of SIGNALS) process.off(name, onSignal)
  }
}
