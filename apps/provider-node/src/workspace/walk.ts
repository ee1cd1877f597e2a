import type { Stats } from 'node:fs'
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { isWorkspacePath, OrienError } from '@orien/protocol'

/** An open directory of a workspace: what is reached through it cannot be moved out from under the reader. */
export type Directory = { handle: FileHandle; path: string }

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
/** A FIFO must not block the open that finds out that it is one. */
const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY
const IS_LINUX = process.platform === 'linux'

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

const refuse = (detail: string): never => {
  throw new OrienError('workspace_path_refused', detail)
}

/** Turns what the kernel says about a name into the one error that a caller may see; host paths stay here. */
function explain(error: unknown): never {
  if (error instanceof OrienError) throw error
  switch (codeOf(error)) {
    case 'ENOENT':
      throw new OrienError('not_found', 'there is no such file in the workspace')
    case 'ENOSPC':
    case 'EDQUOT':
      throw new OrienError('workspace_full')
    default:
      throw new OrienError(
        'workspace_path_refused',
        'the name leads to no plain file of the workspace',
        {},
        { cause: error },
      )
  }
}

/** Runs a file operation; whatever it fails with becomes an OrienError. */
export async function guarded<T>(action: () => Promise<T>): Promise<T> {
  return action().catch(explain)
}

/**
 * A child of an open directory. On Linux the kernel starts at the descriptor, so that a directory swapped for a link
 * meanwhile changes nothing; elsewhere only the development driver runs, and the name is joined.
 */
export const childOf = (parent: Directory, name: string): string =>
  IS_LINUX ? `/proc/self/fd/${parent.handle.fd}/${name}` : join(parent.path, name)

/** @throws the kernel's own error: ELOOP or ENOTDIR for a symbolic link */
export async function enter(parent: Directory, name: string): Promise<Directory> {
  return { handle: await open(childOf(parent, name), DIRECTORY), path: join(parent.path, name) }
}

export async function openDirectory(path: string): Promise<Directory> {
  return { handle: await open(path, DIRECTORY), path }
}

/** @returns the parts of a name that is fit to be walked; see `isWorkspacePath` of the protocol */
function partsOf(name: string): { directories: string[]; last: string } {
  if (!isWorkspacePath(name))
    refuse('a file name is relative, without . or .. and without control characters')
  const parts = name.split('/')
  if (parts.some((part) => Buffer.byteLength(part) > 255)) refuse('a part of the name is over 255 bytes')
  return { directories: parts.slice(0, -1), last: parts.at(-1) ?? '' }
}

/** Makes a directory if it is not there, owned like the workspace, and enters it. */
async function enterOrMake(
  parent: Directory,
  name: string,
  owner: Pick<Stats, 'uid' | 'gid'>,
): Promise<Directory> {
  const made = await mkdir(childOf(parent, name), 0o755).then(
    () => true,
    (error: unknown) => (codeOf(error) === 'EEXIST' ? false : Promise.reject(error)),
  )
  const entered = await enter(parent, name)
  if (made) await entered.handle.chown(owner.uid, owner.gid)
  return entered
}

/**
 * Walks to the directory that holds `name`, one descriptor after the other, and closes them all again.
 *
 * @param makeFor owner of directories that are made on the way; without it a missing one is `not_found`
 * @throws OrienError `workspace_path_refused` for a name or a component that is no plain directory, `not_found`
 */
export async function inParent<T>(
  rootDir: string,
  name: string,
  makeFor: Pick<Stats, 'uid' | 'gid'> | null,
  use: (parent: Directory, last: string) => Promise<T>,
): Promise<T> {
  const { directories, last } = partsOf(name)
  const opened: Directory[] = []
  try {
    return await guarded(async () => {
      let current = await openDirectory(rootDir)
      opened.push(current)
      for (const directory of directories) {
        current = makeFor ? await enterOrMake(current, directory, makeFor) : await enter(current, directory)
        opened.push(current)
      }
      return use(current, last)
    })
  } finally {
    await Promise.all(opened.map(({ handle }) => handle.close()))
  }
}

/** Opens a plain file for reading; links, FIFOs, sockets and devices are refused without being touched. */
export async function openPlainFile(parent: Directory, name: string): Promise<FileHandle> {
  // Merely opening a device can act on it, so it is looked at first; the open is checked again after.
  if (!(await lstat(childOf(parent, name))).isFile())
    refuse('the name leads to no plain file of the workspace')
  const handle = await open(childOf(parent, name), FILE)
  if ((await handle.stat()).isFile()) return handle
  await handle.close()
  return refuse('the name leads to no plain file of the workspace')
}
