import { type BigIntStats, constants } from 'node:fs'
import { lstat, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { isWorkspacePath, LIMITS, OrienError } from '@orien/protocol'
import type { OpenedFile, WorkspaceFile, WorkspaceUpload } from '../run/workspaces.ts'
import { randomName } from '../sandbox/names.ts'
import { childOf, type Directory, enter, guarded, inParent, openDirectory, openPlainFile } from './walk.ts'

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
/** Uploads under way; skipped by `list`, so that half a file is never seen. */
export const UPLOAD_PREFIX = '.orien-upload-'
/** Deeper than any name that could be asked for. */
const MAX_DEPTH = LIMITS.fileNameBytes / 2
const READ_BYTES = 65_536

/** Every plain file below a workspace's root. What is no plain file, or has a name nobody could ask for, is left out. */
export async function listFiles(rootDir: string): Promise<WorkspaceFile[]> {
  const found: WorkspaceFile[] = []
  await guarded(async () => {
    const root = await openDirectory(rootDir)
    try {
      await collect(root, '', 0, found)
    } finally {
      await root.handle.close()
    }
  })
  return found
}

async function collect(
  directory: Directory,
  prefix: string,
  depth: number,
  found: WorkspaceFile[],
): Promise<void> {
  // The trailing slash makes the kernel resolve the descriptor's link, as readdir would otherwise not on every system.
  for (const entry of await readdir(childOf(directory, ''))) {
    const name = `${prefix}${entry}`
    if (found.length >= LIMITS.filesListed) return
    if (!isWorkspacePath(name) || entry.startsWith(UPLOAD_PREFIX)) continue
    const facts = await lstat(childOf(directory, entry), { bigint: true }).catch(() => null)
    if (facts?.isFile()) {
      const modifiedAtMs = Number(facts.mtimeMs)
      found.push({ name, bytes: Number(facts.size), modifiedAtMs, stamp: stampOf(facts) })
    } else if (facts?.isDirectory() && depth < MAX_DEPTH) {
      await descend(directory, entry, name, depth, found)
    }
  }
}

/** A directory that vanished, or that a tool has closed even to its owner, has nothing to list. */
async function descend(
  parent: Directory,
  entry: string,
  name: string,
  depth: number,
  found: WorkspaceFile[],
): Promise<void> {
  const child = await enter(parent, entry).catch(() => null)
  if (!child) return
  try {
    await collect(child, `${name}/`, depth + 1, found)
  } finally {
    await child.handle.close()
  }
}

const stampOf = ({ ino, size, ctimeNs }: BigIntStats): string => `${ino}:${size}:${ctimeNs}`

/** Opens a file; its size is that at opening, and the stream ends there even if a tool goes on writing. */
export async function readFileOf(rootDir: string, name: string, fromByte = 0): Promise<OpenedFile> {
  return inParent(rootDir, name, null, async (parent, last) => {
    const handle = await openPlainFile(parent, last)
    const facts = await handle.stat({ bigint: true })
    const bytes = Number(facts.size)
    let stampAtEnd: string | null = null
    async function* blocks(): AsyncGenerator<Buffer> {
      for (let at = fromByte; at < bytes; ) {
        const block = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, bytes - at))
        const { bytesRead } = await handle.read(block, 0, block.length, at)
        if (bytesRead === 0) return
        at += bytesRead
        yield block.subarray(0, bytesRead)
      }
      stampAtEnd = stampOf(await handle.stat({ bigint: true }))
    }
    const stream = Readable.from(blocks(), { highWaterMark: 1 })
    // Not in the generator: one that was never asked for a block would never close it.
    stream.once('close', () => void handle.close())
    return { bytes, stamp: stampOf(facts), stampAtEnd: () => stampAtEnd, stream }
  })
}

/** What an upload needs to know of the workspace. */
export type Admission = {
  /** What is left of the session's share. */
  roomBytes: number
  /** Called once when the upload has ended, however it did; `writtenBytes` until then. */
  onEnd(): void
  onWritten(bytes: number): void
}

/**
 * Begins a file. It is written under a name of its own, out of a tool's reach, and takes its place by a rename, which
 * replaces a link instead of following it.
 *
 * @param bytes what the workspace must have room for, as announced
 */
export async function writeFileOf(
  rootDir: string,
  name: string,
  bytes: number,
  { roomBytes, onEnd, onWritten }: Admission,
): Promise<WorkspaceUpload> {
  if (bytes > roomBytes)
    throw new OrienError('workspace_full', undefined, { roomBytes: Math.max(0, roomBytes) })
  const owner = await stat(rootDir)
  const passing = `${UPLOAD_PREFIX}${randomName()}`
  const handle = await inParent(rootDir, name, owner, (parent) =>
    open(childOf(parent, passing), NEW_FILE, 0o600),
  )
  let writtenBytes = 0
  let isOpen = true
  const close = async () => {
    if (!isOpen) return
    isOpen = false
    onEnd()
    await handle.close()
  }
  const discard = () => inParent(rootDir, name, null, (parent) => unlink(childOf(parent, passing)))
  return {
    write: (part) =>
      guarded(async () => {
        writtenBytes += part.length
        if (writtenBytes > bytes) throw new OrienError('workspace_full', 'more was written than announced')
        for (let at = 0; at < part.length; ) at += (await handle.write(part, at)).bytesWritten
        onWritten(part.length)
      }),
    commit: async () => {
      try {
        return await guarded(async () => {
          await handle.chown(owner.uid, owner.gid)
          await handle.chmod(0o644)
          await inParent(rootDir, name, null, (parent, last) =>
            rename(childOf(parent, passing), childOf(parent, last)),
          )
          return stampOf(await handle.stat({ bigint: true }))
        })
      } finally {
        await close()
      }
    },
    abort: async () => {
      await close()
      await discard().catch(() => {})
    },
  }
}
