import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { mountsBelow } from '../sandbox/unmount.ts'
import { UPLOAD_PREFIX } from './files.ts'

/** `tmpfs`: the kernel bounds bytes and files. `directory`: only transfers are bounded, and a tool by its own limits. */
export type WorkspaceClass = 'tmpfs' | 'directory'

/** Whose a workspace is, beside it and out of every tool's sight: its own name says nothing. */
const record = z.strictObject({
  v: z.literal(1),
  sessionId: z.string().min(1),
  sizeBytes: z.int().positive(),
  workspaceClass: z.enum(['tmpfs', 'directory']),
})
/** See {@link record}. */
type WorkspaceRecord = z.output<typeof record>

const EXTENSION = '.json'
const pathOf = (dir: string) => `${dir}${EXTENSION}`

export const writeRecord = (dir: string, value: WorkspaceRecord): Promise<void> =>
  writeFile(pathOf(dir), JSON.stringify(value), { mode: 0o600 })

export const removeRecord = (dir: string): Promise<void> => rm(pathOf(dir), { force: true })

async function readRecord(path: string): Promise<WorkspaceRecord | null> {
  try {
    return record.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    // Cut off by the kill, or not ours: what it stands for is removed.
    return null
  }
}

/** @returns how many sessions have files below a directory */
export async function countRecords(rootDir: string): Promise<number> {
  const names = await readdir(rootDir).catch(() => [])
  return names.filter((name) => name.endsWith(EXTENSION)).length
}

/** What an upload that was under way has left; no tool runs yet that could change the tree meanwhile. */
async function removeUploads(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) await removeUploads(path)
    else if (entry.name.startsWith(UPLOAD_PREFIX)) await rm(path)
  }
}

/** A workspace that an earlier node made, whole and as it would be made today. */
type Kept = WorkspaceRecord & { dir: string; uid: number }

/** Finds the workspaces of sessions that go on. Of two for one session neither is kept: nobody knows which one counts. */
export async function findKept(
  rootDir: string,
  workspaceClass: WorkspaceClass,
  goesOn: (sessionId: string) => boolean,
): Promise<Kept[]> {
  const mounts = mountsBelow(rootDir)
  const found: Kept[] = []
  for (const name of await readdir(rootDir)) {
    if (!name.endsWith(EXTENSION)) continue
    const dir = join(rootDir, name.slice(0, -EXTENSION.length))
    const known = await readRecord(join(rootDir, name))
    const facts = await stat(dir).catch(() => null)
    if (!known || !facts?.isDirectory() || !goesOn(known.sessionId)) continue
    const times = mounts.filter((mount) => mount === dir).length
    if (known.workspaceClass !== workspaceClass || times !== (workspaceClass === 'tmpfs' ? 1 : 0)) continue
    found.push({ ...known, dir, uid: facts.uid })
  }
  const single = found.filter(
    ({ sessionId }) => found.filter((other) => other.sessionId === sessionId).length === 1,
  )
  // A directory that a tool has closed even to its owner cannot be looked through by a node that is not root.
  for (const { dir } of single) await removeUploads(dir).catch(() => {})
  return single
}
