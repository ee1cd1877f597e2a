import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, readdir, rm, rmdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { inOrder } from '../run/inOrder.ts'
import type { Workspaces, WorkspaceUpload } from '../run/workspaces.ts'
import { createSlotUids, randomName } from '../sandbox/names.ts'
import { mountsBelow, unmount } from '../sandbox/unmount.ts'
import { listFiles, readFileOf, writeFileOf } from './files.ts'
import { findKept, removeRecord, type WorkspaceClass, writeRecord } from './records.ts'

const run = promisify(execFile)

/** See {@link openWorkspaces}. */
export type WorkspacesOptions = {
  /** A directory of this node alone; everything in it is removed at start but what `goesOn`. */
  rootDir: string
  /** Whether a session goes on without this node, asked at start and at the end; none does unless told. */
  goesOn?: (sessionId: string) => boolean
  /** Bytes and files of one session. A function is asked anew for each session. */
  sizeBytes: number | (() => number)
  maxFiles: number
  /** False makes plain directories even where the node may mount. */
  useMounts?: boolean
  /** Called with a workspace's directory before it is removed: sandboxes may still show it. */
  beforeRemoval?: (dir: string) => Promise<void>
}

/** The sessions' workspaces, and which class of them this machine gives. */
export type SessionWorkspaces = Workspaces & {
  readonly workspaceClass: WorkspaceClass
  usage(sessionId: string): Promise<{ bytes: number; files: number }>
}

/** One session's own: a random host name, because a plain directory's shows in the mounts of its sandbox. */
type Place = { dir: string; sizeBytes: number; ready: Promise<void>; uploads: Set<Announced> }

/** What uploads under way may still take: two of them must not share the same room. */
type Announced = { bytes: number; writtenBytes: number }

const MOUNT_OPTIONS = ['nosuid', 'nodev', 'nosymfollow']

const sizeOf = ({ sizeBytes }: WorkspacesOptions): number =>
  typeof sizeBytes === 'function' ? sizeBytes() : sizeBytes

const canMount = (options: WorkspacesOptions): boolean =>
  options.useMounts !== false && process.platform === 'linux' && process.getuid?.() === 0

async function mountTmpfs(
  dir: string,
  { sizeBytes, maxFiles }: { sizeBytes: number; maxFiles: number },
  uid: number,
): Promise<void> {
  const own = [`size=${sizeBytes}`, `nr_inodes=${maxFiles}`, 'mode=0700', `uid=${uid}`, `gid=${uid}`]
  await run('mount', ['-t', 'tmpfs', '-o', [...MOUNT_OPTIONS, ...own].join(','), 'workspace', dir])
}

/** A tool may close a directory even to its owner; only root could then remove what lies in it. */
async function openUp(dir: string): Promise<void> {
  await chmod(dir, 0o700)
  for (const entry of await readdir(dir, { withFileTypes: true }))
    if (entry.isDirectory()) await openUp(join(dir, entry.name))
}

/** @param isMounted known by the caller: the kernel's table of mounts grows with the sessions, and each would read all */
async function remove(dir: string, isMounted: boolean): Promise<void> {
  await removeDirectory(dir, isMounted)
  // Last, so that a node that dies before it still knows whose this was.
  await removeRecord(dir)
}

async function removeDirectory(dir: string, isMounted: boolean): Promise<void> {
  if (isMounted) {
    await unmount(dir)
    return rmdir(dir)
  }
  await rm(dir, { recursive: true, force: true }).catch(async () => {
    await openUp(dir)
    await rm(dir, { recursive: true, force: true })
  })
}

async function sweep(rootDir: string, kept: ReadonlySet<string>): Promise<void> {
  for (const mount of mountsBelow(rootDir)) if (!kept.has(mount)) await unmount(mount)
  for (const name of await readdir(rootDir)) {
    const path = join(rootDir, name)
    if (!kept.has(path) && !kept.has(path.replace(/\.json$/, ''))) await remove(path, false)
  }
}

async function usageOf(
  dir: string,
  workspaceClass: WorkspaceClass,
  uploads: ReadonlySet<Announced>,
): Promise<{ bytes: number; files: number }> {
  if (workspaceClass === 'tmpfs') {
    const facts = await statfs(dir)
    const unwritten = [...uploads].reduce((sum, { bytes, writtenBytes }) => sum + bytes - writtenBytes, 0)
    const bytes = (facts.blocks - facts.bfree) * facts.bsize + unwritten
    return { bytes, files: facts.files - facts.ffree }
  }
  const files = await listFiles(dir)
  const announced = [...uploads].reduce((sum, { bytes }) => sum + bytes, 0)
  const bytes = files.reduce((sum, file) => sum + file.bytes, announced)
  return { bytes, files: files.length + uploads.size }
}

/** Begins an upload; from then on its room is taken. */
async function announce(
  { dir, sizeBytes, uploads }: Place,
  upload: { name: string; bytes: number; shareBytes: number | undefined; usedBytes: number },
): Promise<WorkspaceUpload> {
  const { name, bytes, shareBytes = sizeBytes, usedBytes } = upload
  const roomBytes = Math.min(sizeBytes, shareBytes) - usedBytes
  const announced: Announced = { bytes, writtenBytes: 0 }
  const onWritten = (more: number) => {
    announced.writtenBytes += more
  }
  const onEnd = () => void uploads.delete(announced)
  const begun = await writeFileOf(dir, name, bytes, { roomBytes, onWritten, onEnd })
  uploads.add(announced)
  return begun
}

/** Whether this machine lets the node mount, found out by mounting: a container's root often may not. */
async function probe(options: WorkspacesOptions, nextUid: () => number): Promise<WorkspaceClass> {
  if (!canMount(options)) return 'directory'
  const dir = join(options.rootDir, randomName())
  await mkdir(dir)
  const size = { sizeBytes: sizeOf(options), maxFiles: options.maxFiles }
  const mounted = await mountTmpfs(dir, size, nextUid()).then(
    () => true,
    () => false,
  )
  await remove(dir, mounted)
  return mounted ? 'tmpfs' : 'directory'
}

function makePlace(
  options: WorkspacesOptions,
  { sessionId, workspaceClass, uid }: { sessionId: string; workspaceClass: WorkspaceClass; uid: number },
): Place {
  const { rootDir, maxFiles } = options
  const dir = join(rootDir, randomName())
  const sizeBytes = sizeOf(options)
  const make = async () => {
    await writeRecord(dir, { v: 1, sessionId, sizeBytes, workspaceClass })
    await mkdir(dir, { mode: 0o700 })
    if (workspaceClass === 'tmpfs') await mountTmpfs(dir, { sizeBytes, maxFiles }, uid)
    else if (process.getuid?.() === 0) await chown(dir, uid, uid)
  }
  return { dir, sizeBytes, ready: make(), uploads: new Set() }
}

/** What of an earlier node goes on; the rest is removed. */
async function takeOver(options: WorkspacesOptions) {
  const { rootDir, goesOn = () => false } = options
  const anyUid = createSlotUids()
  await mkdir(rootDir, { recursive: true, mode: 0o711 })
  const workspaceClass = await probe(options, anyUid)
  const kept = await findKept(rootDir, workspaceClass, goesOn)
  await sweep(rootDir, new Set(kept.map(({ dir }) => dir)))
  const takenUids = new Set(kept.map(({ uid }) => uid))
  const nextUid = (): number => {
    const uid = anyUid()
    return takenUids.has(uid) ? nextUid() : uid
  }
  const places = new Map<string, Place>(
    kept.map(({ sessionId, dir, sizeBytes }) => [
      sessionId,
      { dir, sizeBytes, ready: Promise.resolve(), uploads: new Set() },
    ]),
  )
  return { workspaceClass, places, nextUid }
}

/**
 * Workspaces below one directory, each for one session, gone with it. Of what an earlier node left there, those of
 * sessions that go on are taken over, and the rest is removed; at the end the next node is left the same.
 * Its files are reached by descriptors alone: no link, FIFO or device in it is ever followed or opened.
 */
export async function openWorkspaces(options: WorkspacesOptions): Promise<SessionWorkspaces> {
  const { workspaceClass, places, nextUid } = await takeOver(options)
  const kept = [...places.keys()]

  const placeOf = async (sessionId: string): Promise<Place> => {
    const place = places.get(sessionId) ?? makePlace(options, { sessionId, workspaceClass, uid: nextUid() })
    if (!places.has(sessionId)) {
      places.set(sessionId, place)
      place.ready.catch(() => places.delete(sessionId))
    }
    await place.ready
    return place
  }
  const open = async (sessionId: string): Promise<string> => (await placeOf(sessionId)).dir
  const destroy = async (sessionId: string): Promise<void> => {
    const place = places.get(sessionId)
    if (!place) return
    places.delete(sessionId)
    await place.ready
    await options.beforeRemoval?.(place.dir)
    await remove(place.dir, workspaceClass === 'tmpfs')
  }
  const inTurn = inOrder()
  const usage = (sessionId: string) =>
    placeOf(sessionId).then(({ dir, uploads }) => usageOf(dir, workspaceClass, uploads))
  return {
    workspaceClass,
    kept,
    open,
    usage,
    destroy,
    list: (sessionId) => open(sessionId).then(listFiles),
    read: async (sessionId, ...which) => readFileOf(await open(sessionId), ...which),
    // One after the other: another upload must not take the room that this one was told of.
    write: (sessionId, name, bytes, shareBytes) =>
      inTurn.next(sessionId, async () => {
        const place = await placeOf(sessionId)
        const used = await usageOf(place.dir, workspaceClass, place.uploads)
        const hasRoom = used.files < options.maxFiles
        return announce(place, {
          name,
          bytes,
          shareBytes,
          usedBytes: hasRoom ? used.bytes : Number.POSITIVE_INFINITY,
        })
      }),
    close: async () => {
      const { goesOn = () => false } = options
      await Promise.all([...places.keys()].filter((sessionId) => !goesOn(sessionId)).map(destroy))
    },
  }
}

/** Removes all that a node which does not run any more has kept for the next one. */
export async function clearWorkspaces(rootDir: string): Promise<void> {
  if (existsSync(rootDir)) await sweep(rootDir, new Set())
}
