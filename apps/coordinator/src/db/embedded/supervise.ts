import { setTimeout as pause } from 'node:timers/promises'
import { DATABASE_LIMITS } from '../limits.ts'
import type { Exit, Postmaster } from './postmaster.ts'

/** What the supervisor has to tell; made for a structured logger. No entry holds the password. */
export type EmbeddedPostgresEvent =
  | { event: 'postgres.line'; line: string }
  | { event: 'postgres.orphan_stopped' }
  | { event: 'postgres.died'; pid: number; exitCode: number | null; signal: NodeJS.Signals | null }
  | { event: 'postgres.restart_failed'; error: unknown; nextAttemptMs: number }
  | { event: 'postgres.restarted'; pid: number; restarts: number }

export type EmbeddedPostgresStatus = {
  state: 'running' | 'restarting' | 'stopped'
  pid: number
  /** Times that PostgreSQL was brought back since the start. */
  restarts: number
}

type Supervisor = { status: () => EmbeddedPostgresStatus; stop: () => Promise<void> }

/**
 * Brings PostgreSQL back whenever it dies, until `stop`.
 *
 * @param restart also sees to it that nothing of the dead one is left
 */
export function supervise(
  first: Postmaster,
  restart: () => Promise<Postmaster>,
  log: (entry: EmbeddedPostgresEvent) => void,
): Supervisor {
  let postmaster = first
  let state: EmbeddedPostgresStatus['state'] = 'running'
  let restarts = 0
  const stopping = new AbortController()

  const bringBack = async (exit: Exit): Promise<void> => {
    state = 'restarting'
    log({ event: 'postgres.died', pid: postmaster.pid, ...exit })
    let pauseMs: number = DATABASE_LIMITS.firstRestartPauseMs
    while (!stopping.signal.aborted) {
      try {
        postmaster = await restart()
        state = 'running'
        restarts += 1
        log({ event: 'postgres.restarted', pid: postmaster.pid, restarts })
        return
      } catch (error) {
        log({ event: 'postgres.restart_failed', error, nextAttemptMs: pauseMs })
        await pause(pauseMs, undefined, { signal: stopping.signal }).catch(() => {})
        pauseMs = Math.min(pauseMs * 2, DATABASE_LIMITS.longestRestartPauseMs)
      }
    }
  }

  const watch = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const exit = await postmaster.exited
      if (!stopping.signal.aborted) await bringBack(exit)
    }
  }
  const watching = watch()

  const stop = async (): Promise<void> => {
    stopping.abort()
    if (state === 'running') await postmaster.stop()
    await watching
    // A restart that was under way when stop was called has finished by now.
    if (state === 'running') await postmaster.stop()
    state = 'stopped'
  }
  return { status: () => ({ state, pid: postmaster.pid, restarts }), stop }
}
