const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Runs work that a signal may interrupt. The first one asks the work to wind up; a second one ends the process.
 *
 * @param work is given a signal that aborts when the person wants to stop
 * @param signals that mean so
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  signals: readonly NodeJS.Signals[] = SIGNALS,
): Promise<T> {
  const controller = new AbortController()
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort()
  }
  for (const name of signals) process.on(name, onSignal)
  try {
    return await work(controller.signal)
  } finally {
    for (const name of signals) process.off(name, onSignal)
  }
}
