import { OrienError } from '@orien/protocol'
import type { Clock } from '../clock.ts'
import { NODE_LIMITS } from '../limits.ts'
import type { Workspaces } from './workspaces.ts'

/** Workspaces that remember when they were used last. */
export type WatchedWorkspaces = Workspaces & {
  /** Destroys those that nobody has used for `idleMs`, unless the session has runs. */
  destroyIdle(idleMs: number, isOpen: (sessionId: string) => boolean): Promise<void>
}

/** A session that its coordinator has forgotten must not keep its files here for ever. */
export function watchWorkspaces(workspaces: Workspaces, clock: Clock): WatchedWorkspaces {
  const usedAtMs = new Map(workspaces.kept.map((sessionId) => [sessionId, clock.monotonicMs()]))
  const touch = (sessionId: string) => {
    if (!usedAtMs.has(sessionId) && usedAtMs.size >= NODE_LIMITS.sessions)
      throw new OrienError('workspace_full', 'the node has no room for another session')
    usedAtMs.set(sessionId, clock.monotonicMs())
  }
  const destroy = async (sessionId: string) => {
    usedAtMs.delete(sessionId)
    await workspaces.destroy(sessionId)
  }
  return {
    kept: workspaces.kept,
    open: async (sessionId) => {
      touch(sessionId)
      return workspaces.open(sessionId)
    },
    list: async (sessionId) => {
      touch(sessionId)
      return workspaces.list(sessionId)
    },
    read: async (sessionId, name, fromByte) => {
      touch(sessionId)
      return workspaces.read(sessionId, name, fromByte)
    },
    write: async (sessionId, name, bytes, shareBytes) => {
      touch(sessionId)
      return workspaces.write(sessionId, name, bytes, shareBytes)
    },
    destroy,
    close: () => workspaces.close(),
    destroyIdle: async (idleMs, isOpen) => {
      const now = clock.monotonicMs()
      for (const [sessionId, at] of usedAtMs)
        if (now - at >= idleMs && !isOpen(sessionId)) await destroy(sessionId)
    },
  }
}
