import { type FileView, LIMITS } from '@orien/protocol'
import { instantOf } from '../clock.ts'
import { NODE_LIMITS } from '../limits.ts'
import type { TransfersContext } from './context.ts'
import type { FileMessage, Mailbox } from './mailbox.ts'

/** Names of one message: at their longest they stay well below what a message may hold. */
const MESSAGE_FILES = 500

/** Tells every file with its hash; beyond a bound on what is read for it, without. */
export async function listFiles(
  { workspaces, connection, desk }: TransfersContext,
  { requestId, sessionId }: Extract<FileMessage, { type: 'fileList' }>,
  mailbox: Mailbox,
): Promise<void> {
  const files = (await workspaces.list(sessionId)).slice(0, LIMITS.filesListed)
  let readBytes = 0
  for (let at = 0; at === 0 || at < files.length; at += MESSAGE_FILES) {
    const items: FileView[] = []
    for (const file of files.slice(at, at + MESSAGE_FILES)) {
      mailbox.check()
      const { name, bytes, modifiedAtMs } = file
      if (!desk.hashes.isKnown(sessionId, file)) readBytes += bytes
      const sha256 =
        readBytes <= NODE_LIMITS.listHashBytes ? await desk.hashes.ofListed(sessionId, file) : null
      items.push({ name, bytes, modifiedAt: instantOf(modifiedAtMs), ...(sha256 === null ? {} : { sha256 }) })
    }
    const hasMore = at + MESSAGE_FILES < files.length
    await connection.inTurn(async () => void connection.send({ type: 'files', requestId, items, hasMore }))
  }
}
