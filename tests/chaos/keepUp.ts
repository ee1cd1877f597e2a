import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ManagedProcess } from '../harness/processes.ts'

/** Starts whatever dies again at once, as a service manager would. */
export type Keeper = {
  /** Something else that has to be brought back. */
  restore: (work: () => Promise<void>) => void
  /** From now on a part that dies stays away until it is let go; it is not missed meanwhile. */
  hold: (part: ManagedProcess) => () => void
  /** Resolves when all of it runs and is ready. */
  whole: () => Promise<void>
  stop: () => void
}

/** Starts of one process in a row that may fail: a node whose disk is full, a coordinator without its database. */
const ATTEMPTS = 200
const BETWEEN_MS = 100

export function keepUp(parts: Readonly<Record<string, ManagedProcess>>): Keeper {
  let isStopped = false
  const restoring = new Set<Promise<void>>()
  const held = new Map<ManagedProcess, Promise<void>>()
  const watch = async (part: ManagedProcess): Promise<void> => {
    for (;;) {
      await part.gone()
      await held.get(part)
      if (isStopped) return
      await track(bringBack(part))
    }
  }
  const bringBack = async (part: ManagedProcess): Promise<void> => {
    for (let attempt = 1; !isStopped; attempt += 1) {
      try {
        await part.start()
        return
      } catch (error) {
        if (attempt === ATTEMPTS) throw error
        await new Promise<void>((resolve) => void setTimeout(resolve, BETWEEN_MS))
      }
    }
  }
  const track = (work: Promise<void>): Promise<void> => {
    const kept = work.finally(() => restoring.delete(kept))
    restoring.add(kept)
    return kept
  }
  for (const part of Object.values(parts)) void watch(part).catch(() => undefined)
  const isMissing = (part: ManagedProcess) => !held.has(part) && !part.isRunning()
  return {
    hold: (part) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      held.set(part, promise)
      return () => {
        held.delete(part)
        resolve()
      }
    },
    restore: (work) => void track(work()),
    whole: async () => {
      do {
        await Promise.all(restoring)
        // A turn, for the watcher of a process that has just gone.
        await new Promise<void>((resolve) => setImmediate(resolve))
      } while (restoring.size > 0 || Object.values(parts).some(isMissing))
    },
    stop: () => {
      isStopped = true
    },
  }
}

/** PostgreSQL itself, past its supervisor. */
export function killPostmaster(dataDir: string): void {
  const [pid = ''] = readFileSync(join(dataDir, 'cluster', 'postmaster.pid'), 'utf8').split('\n')
  try {
    process.kill(Number(pid), 'SIGKILL')
  } catch {
    // It is dead already, and its file is still there.
  }
}
