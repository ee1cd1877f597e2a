import type { Readable } from 'node:stream'

/** A file of a workspace. */
export type WorkspaceFile = {
  name: string
  bytes: number
  modifiedAtMs: number
  /** Changes whenever the content may have changed, and cannot be set by whoever changed it. */
  stamp: string
}

/** A file being written: nothing of it shows under its name before `commit`. */
export type WorkspaceUpload = {
  write(bytes: Uint8Array): Promise<void>
  commit(): Promise<void>
  abort(): Promise<void>
}

/**
 * What a run and a transfer need of the sessions' workspaces. Names are checked there, descriptor by descriptor.
 * Refusals are OrienErrors `workspace_path_refused`, `workspace_full` and `not_found`.
 */
export type Workspaces = {
  /** Makes it if it is not there. @returns its host directory */
  open(sessionId: string): Promise<string>
  list(sessionId: string): Promise<WorkspaceFile[]>
  read(sessionId: string, name: string): Promise<{ bytes: number; stream: Readable }>
  write(sessionId: string, name: string, bytes: number): Promise<WorkspaceUpload>
  /** Leaves nothing behind; idempotent. */
  destroy(sessionId: string): Promise<void>
  close(): Promise<void>
}
