import type { Clock } from '../clock.ts'
import type { Timing } from '../limits.ts'
import type { Connection } from '../link/connection.ts'
import type { Workspaces } from '../run/workspaces.ts'
import type { FileDesk } from './fileDesk.ts'

/** What every transfer of a connection touches. */
export type TransfersContext = {
  workspaces: Workspaces
  connection: Connection
  desk: FileDesk
  clock: Clock
  timing: Pick<Timing, 'transferIdleMs'>
  /** Whether files of the session may still be touched. */
  isServed(sessionId: string): boolean
}
