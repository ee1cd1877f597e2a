import { OrienError } from '@orien/protocol'
import type { Clock } from '../clock.ts'
import { NODE_LIMITS, type Timing } from '../limits.ts'
import type { Workspaces } from '../run/workspaces.ts'
import { createFileHashes, type FileHashes } from './fileHashes.ts'
import type { Mailbox } from './mailbox.ts'
import { Partials } from './partials.ts'

/** What is known of files beyond one connection: uploads that were cut off, hashes, and which sessions are over. */
export type FileDesk = {
  partials: Partials
  hashes: FileHashes
  /** @throws OrienError `workspace_gone` */
  requireOpen(sessionId: string): void
  /** Notes a transfer under way. @returns how to end the note */
  enter(sessionId: string, mailbox: Mailbox): () => void
  /** No file of the session is touched any more: transfers end, what has arrived is thrown away. */
  endSession(sessionId: string): Promise<void>
  /** To be called when no transfer is under way any more. */
  close(): Promise<void>
}

export function createFileDesk(context: {
  workspaces: Workspaces
  clock: Clock
  timing: Pick<Timing, 'uploadKeptMs'>
}): FileDesk {
  const partials = new Partials(context.clock, context.timing)
  const hashes = createFileHashes(context.workspaces)
  const underWay = new Map<Mailbox, string>()
  const ended = new Set<string>()
  const gone = () => new OrienError('workspace_gone')
  return {
    partials,
    hashes,
    requireOpen: (sessionId) => {
      if (ended.has(sessionId)) throw gone()
    },
    enter: (sessionId, mailbox) => {
      underWay.set(mailbox, sessionId)
      return () => void underWay.delete(mailbox)
    },
    endSession: async (sessionId) => {
      ended.add(sessionId)
      // The coordinator lets nobody ask for a session that is over; this is for what was on its way at that moment.
      const [oldest] = ended
      if (oldest !== undefined && ended.size > NODE_LIMITS.sessions) ended.delete(oldest)
      for (const [mailbox, of] of underWay) if (of === sessionId) mailbox.refuse(gone())
      hashes.forgetSession(sessionId)
      await partials.discardSession(sessionId)
    },
    close: () => partials.close(),
  }
}
