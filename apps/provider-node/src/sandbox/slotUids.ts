import { chownSync, statSync } from 'node:fs'
import { createSlotUids } from './names.ts'

/**
 * Kernel quotas (inotify, pipe pages, keys) are counted per host uid, so each workspace's tools get a uid of their own.
 * A workspace that still belongs to root is handed over first.
 */
export function createSlots(): (workspaceDir: string) => number | undefined {
  if (process.getuid?.() !== 0) return () => undefined
  const nextUid = createSlotUids()
  return (workspaceDir) => {
    const { uid } = statSync(workspaceDir)
    if (uid !== 0) return uid
    const slot = nextUid()
    chownSync(workspaceDir, slot, slot)
    return slot
  }
}
