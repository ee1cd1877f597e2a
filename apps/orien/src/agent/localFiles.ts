import { existsSync, readFileSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isWorkspacePath } from '@orien/protocol'
import { wrongUse } from '../terminal/wrongUse.ts'

/** A file of this machine and its name in the workspace. */
export type LocalFile = { path: string; name: string }

/** Reads a text that the command line names. */
export function readLocalText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    throw wrongUse(`The file ${path} cannot be read`)
  }
}

/**
 * Reads `local[:name]`. A colon belongs to the file's own name when there is such a file.
 *
 * @example
 * parseFile('scenes/a.json:scene.json', () => false) // { path: 'scenes/a.json', name: 'scene.json' }
 */
export function parseFile(text: string, isThere: (path: string) => boolean = existsSync): LocalFile {
  const colon = isThere(text) ? -1 : text.lastIndexOf(':')
  const path = colon === -1 ? text : text.slice(0, colon)
  const name = colon === -1 ? basename(text) : text.slice(colon + 1)
  if (isWorkspacePath(name)) return { path, name }
  throw wrongUse(`"${name}" cannot be the name of a file in the workspace`)
}

/**
 * Saves a file piece by piece under a name that a provider gave it: never outside the directory, and whole or not at
 * all.
 *
 * @returns its path
 */
export async function saveFile(
  dir: string,
  name: string,
  pieces: AsyncIterable<Uint8Array>,
): Promise<string> {
  if (!isWorkspacePath(name)) throw wrongUse(`The provider calls a file "${name}", which is no name for one`)
  const path = join(dir, name)
  await mkdir(dirname(path), { recursive: true })
  const draftPath = `${path}.part`
  const draft = await open(draftPath, 'w')
  try {
    for await (const piece of pieces) await draft.write(piece)
    await draft.close()
    await rename(draftPath, path)
  } catch (error) {
    await draft.close().catch(() => undefined)
    await rm(draftPath, { force: true })
    throw error
  }
  return path
}
