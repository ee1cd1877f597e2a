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
  /** @returns the stamp of the file */
  commit(): Promise<string>
  abort(): Promise<void>
}

/** A file being read. It is the one that was opened, whatever happens to its name. */
export type OpenedFile = {
  bytes: number
  stamp: string
  stream: Readable
  /** When all of it was read: another stamp than at first when it has changed meanwhile. Null before. */
  stampAtEnd(): string | null
}

/**
 * What a run and a transfer need of the sessions' workspaces. Names are checked there, descriptor by descriptor.
 * Refusals are OrienErrors `workspace_path_refused`, `workspace_full` and `not_found`.
 */
export type Workspaces = {
  /** Sessions whose workspaces were taken over from an earlier node. */
  readonly kept: readonly string[]
  /** Makes it if it is not there. @returns its host directory */
  open(sessionId: string): Promise<string>
  list(sessionId: string): Promise<WorkspaceFile[]>
  read(sessionId: string, name: string, fromByte?: number): Promise<OpenedFile>
  /** @param shareBytes what the workspace may hold afterwards, where that is less than it could */
  write(sessionId: string, name: string, bytes: number, shareBytes?: number): Promise<WorkspaceUpload>
  /** Leaves nothing behind; idempotent. */
  destroy(sessionId: string): Promise<void>
  /** Removes those of sessions that are over; what goes on is left to the next node. */
  close(): Promise<void>
}
