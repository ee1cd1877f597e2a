import { createHash } from 'node:crypto'
import { isWorkspacePath, OrienError, type Receipt } from '@orien/protocol'
import { NODE_LIMITS } from '../limits.ts'
import type { WorkspaceFile, Workspaces } from './workspaces.ts'

type FileHash = Receipt['inputs'][number]

/** Name → stamp of every file before a run. */
export type Before = ReadonlyMap<string, string>

/** @throws OrienError `not_found` or `workspace_path_refused` */
export async function hashFile(workspaces: Workspaces, sessionId: string, name: string): Promise<FileHash> {
  const { stream } = await workspaces.read(sessionId, name)
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of stream) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { name, sha256: hash.digest('hex'), bytes }
}

/**
 * Hashes of the files that the arguments name, as they are before the run.
 *
 * @throws OrienError `not_found` or `workspace_path_refused` when one is no plain file of the workspace
 */
export async function hashInputs(
  workspaces: Workspaces,
  sessionId: string,
  names: readonly string[],
): Promise<FileHash[]> {
  const hashes: FileHash[] = []
  for (const name of names.slice(0, NODE_LIMITS.inputFiles))
    hashes.push(await hashFile(workspaces, sessionId, name))
  return hashes
}

export async function snapshotFiles(workspaces: Workspaces, sessionId: string): Promise<Before> {
  return new Map((await workspaces.list(sessionId)).map(({ name, stamp }) => [name, stamp]))
}

/** Which files a run left new or changed, by name, as far as a receipt has room for them. */
function changedFiles(before: Before, after: readonly WorkspaceFile[]): WorkspaceFile[] {
  // A tool may call its files anything; only what can be asked for again belongs into a receipt.
  const changed = after.filter(({ name, stamp }) => before.get(name) !== stamp && isWorkspacePath(name))
  const chosen: WorkspaceFile[] = []
  let bytes = 0
  for (const file of changed.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (chosen.length === NODE_LIMITS.outputFiles) break
    bytes += file.bytes
    if (bytes <= NODE_LIMITS.outputHashBytes) chosen.push(file)
    else bytes -= file.bytes
  }
  return chosen
}

/** Hashes of what a run wrote. A file that is replaced or removed by a parallel run meanwhile is left out. */
export async function hashOutputs(
  workspaces: Workspaces,
  sessionId: string,
  before: Before,
): Promise<FileHash[]> {
  const hashes: FileHash[] = []
  for (const { name } of changedFiles(before, await workspaces.list(sessionId))) {
    try {
      hashes.push(await hashFile(workspaces, sessionId, name))
    } catch (error) {
      if (!(error instanceof OrienError)) throw error
    }
  }
  return hashes
}
