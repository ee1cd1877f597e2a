import { NODE_LIMITS } from '../limits.ts'
import { hashFile } from '../run/hashFiles.ts'
import type { WorkspaceFile, Workspaces } from '../run/workspaces.ts'

/** A file's content, as of a stamp. */
export type HashedFile = { bytes: number; stamp: string; sha256: string }

/** Hashes of files, computed once for as long as their stamps stay the same. */
export type FileHashes = {
  /** @throws OrienError `not_found` or `workspace_path_refused` */
  of(sessionId: string, name: string): Promise<HashedFile>
  /** Of a listed file. Null when it has gone meanwhile. */
  ofListed(sessionId: string, file: WorkspaceFile): Promise<string | null>
  isKnown(sessionId: string, file: WorkspaceFile): boolean
  remember(sessionId: string, name: string, file: HashedFile): void
  forget(sessionId: string, name: string): void
  forgetSession(sessionId: string): void
}

export function createFileHashes(workspaces: Workspaces): FileHashes {
  const sessions = new Map<string, Map<string, HashedFile>>()

  const remember: FileHashes['remember'] = (sessionId, name, file) => {
    const known = sessions.get(sessionId) ?? new Map<string, HashedFile>()
    sessions.set(sessionId, known)
    known.delete(name)
    known.set(name, file)
    const [oldest] = known.keys()
    if (oldest !== undefined && known.size > NODE_LIMITS.rememberedHashes) known.delete(oldest)
  }
  const knownOf = (sessionId: string, name: string, stamp: string) => {
    const known = sessions.get(sessionId)?.get(name)
    return known?.stamp === stamp ? known : undefined
  }
  const of: FileHashes['of'] = async (sessionId, name) => {
    const { stream, stamp } = await workspaces.read(sessionId, name)
    stream.destroy()
    const known = knownOf(sessionId, name, stamp)
    if (known) return known
    const hashed = await hashFile(workspaces, sessionId, name)
    // By the stamp from before it was read: what changed while it was read has another one now.
    const file = { bytes: hashed.bytes, stamp, sha256: hashed.sha256 }
    remember(sessionId, name, file)
    return file
  }
  return {
    of,
    ofListed: (sessionId, { name }) =>
      of(sessionId, name).then(
        ({ sha256 }) => sha256,
        () => null,
      ),
    isKnown: (sessionId, { name, stamp }) => knownOf(sessionId, name, stamp) !== undefined,
    remember,
    forget: (sessionId, name) => void sessions.get(sessionId)?.delete(name),
    forgetSession: (sessionId) => void sessions.delete(sessionId),
  }
}
