import { setTimeout as pause } from 'node:timers/promises'
import type { OrienError } from '@orien/protocol'
import { type Clock, systemClock } from '../../clock.ts'
import { DATABASE_LIMITS } from '../limits.ts'
import { createFalls, type RestartPolicy } from './falls.ts'
import type { Exit, Postmaster } from './postmaster.ts'
import { reasonOfRefusal, reasonSaid, refusal } from './refusal.ts'

/** What the supervisor has to tell; made for a structured logger. No entry holds the password. */
export type EmbeddedPostgresEvent =
  | { event: 'postgres.line'; line: string }
  | { event: 'postgres.orphan_stopped' }
  | { event: 'postgres.died'; pid: number; exitCode: number | null; signal: NodeJS.Signals | null }
  | { event: 'postgres.restart_failed'; error: unknown; nextAttemptMs: number }
  | { event: 'postgres.restarted'; pid: number; restarts: number }
  | { event: 'postgres.gave_up'; error: OrienError }

export type EmbeddedPostgresStatus = {
  /** `failed`: it died too often in a row and stays down; `failure` says why. */
  state: 'running' | 'restarting' | 'failed' | 'stopped'
  pid: number
  /** Times that PostgreSQL was brought back since the start. */
  restarts: number
  failure: OrienError | null
}

type Supervisor = { status: () => EmbeddedPostgresStatus; stop: () => Promise<void> }

/**
 * Brings PostgreSQL back whenever it dies, until `stop`: at once when it had settled, else after a pause
 * that doubles. When it dies or does not start `restartAttempts` times in a row it stays down, unless a full
 * disk or a taken port is the cause: those are waited out.
 *
 * @param restart also sees to it that nothing of the dead one is left
 */
export function supervise(
  first: Postmaster,
  restart: () => Promise<Postmaster>,
  log: (entry: EmbeddedPostgresEvent) => void,
  { policy = DATABASE_LIMITS, clock = systemClock }: { policy?: RestartPolicy; clock?: Clock } = {},
): Supervisor {
  let postmaster = first
  let state: EmbeddedPostgresStatus['state'] = 'running'
  let restarts = 0
  let failure: OrienError | null = null
  let startedMs = clock.monotonicMs()
  const falls = createFalls(policy)
  const stopping = new AbortController()

  const bringBack = async (exit: Exit): Promise<void> => {
    state = 'restarting'
    log({ event: 'postgres.died', pid: postmaster.pid, ...exit })
    falls.died(clock.monotonicMs() - startedMs, reasonSaid(postmaster.lastLines().join('\n')))
    let cause: unknown
    while (!falls.areTooMany()) {
      await pause(falls.pauseMs(), undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return
      try {
        postmaster = await restart()
        startedMs = clock.monotonicMs()
        state = 'running'
        restarts += 1
        log({ event: 'postgres.restarted', pid: postmaster.pid, restarts })
        return
      } catch (error) {
        cause = error
        falls.didNotStart(reasonOfRefusal(error))
        log({ event: 'postgres.restart_failed', error, nextAttemptMs: falls.pauseMs() })
      }
    }
    state = 'failed'
    failure = refusal('crash_loop', { log: postmaster.lastLines() }, { cause })
    log({ event: 'postgres.gave_up', error: failure })
  }

  const watch = async (): Promise<void> => {
    while (!stopping.signal.aborted && state !== 'failed') {
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
  return { status: () => ({ state, pid: postmaster.pid, restarts, failure }), stop }
}
