import { setTimeout as pause } from 'node:timers/promises'

const POLL_MS = 20

/** Waits for facts of the operating system that announce no event; false when `timeoutMs` went by first. */
export async function until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadline = AbortSignal.timeout(timeoutMs)
  while (!condition()) {
    if (deadline.aborted) return false
    await pause(POLL_MS)
  }
  return true
}
