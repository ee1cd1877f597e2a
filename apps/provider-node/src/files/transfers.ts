import { type ErrorCode, FILE_WINDOW_CHUNKS, isErrorCode, OrienError } from '@orien/protocol'
import { NODE_LIMITS } from '../limits.ts'
import type { TransfersContext } from './context.ts'
import { listFiles } from './listFiles.ts'
import { createMailbox, type FileMessage, type Mailbox } from './mailbox.ts'
import { receiveFile } from './receiveFile.ts'
import { sendFile } from './sendFile.ts'

/** Files to and from workspaces over one connection; all of it ends with the connection. */
export type Transfers = { handle(message: FileMessage): void }

type Opening = Extract<FileMessage, { type: 'fileList' | 'fileFind' | 'fileRead' | 'fileWrite' }>

export function createTransfers(context: TransfersContext): Transfers {
  const mailboxes = new Map<number, Mailbox>()
  const { connection, desk, clock, timing } = context
  connection.signal.addEventListener('abort', () => {
    for (const mailbox of mailboxes.values()) mailbox.deliver(null)
  })

  async function converse(message: Opening): Promise<void> {
    const { requestId, sessionId } = message
    const mailbox = createMailbox(clock, timing.transferIdleMs)
    mailboxes.set(requestId, mailbox)
    const leave = desk.enter(sessionId, mailbox)
    try {
      if (mailboxes.size > NODE_LIMITS.transfers)
        throw new OrienError('too_many_transfers', 'the node has as many transfers as it can carry')
      if (!context.isServed(sessionId)) throw new OrienError('workspace_gone')
      desk.requireOpen(sessionId)
      await answer(context, message, mailbox)
    } catch (error) {
      connection.send({ type: 'failure', requestId, ...problemOf(error) })
    } finally {
      leave()
      mailboxes.delete(requestId)
    }
  }

  return {
    handle: (message) => {
      switch (message.type) {
        case 'fileList':
        case 'fileFind':
        case 'fileRead':
        case 'fileWrite':
          return void converse(message)
        default: {
          const mailbox = mailboxes.get(message.requestId)
          // Ours are bounded by the credits that we gave; a sender that ignores them is not listened to.
          if (mailbox && mailbox.pending() > 2 * FILE_WINDOW_CHUNKS) return connection.close(1008)
          mailbox?.deliver(message)
        }
      }
    },
  }
}

async function answer(context: TransfersContext, message: Opening, mailbox: Mailbox): Promise<void> {
  switch (message.type) {
    case 'fileList':
      return listFiles(context, message, mailbox)
    case 'fileFind':
      return findFile(context, message, mailbox)
    case 'fileRead':
      return sendFile(context, message, mailbox)
    case 'fileWrite':
      return receiveFile(context, message, mailbox)
  }
}

/** An upload whose end was reached but not heard of is a file already. */
async function findFile(
  { desk, workspaces, connection }: TransfersContext,
  { requestId, sessionId, name, bytes, sha256 }: Extract<FileMessage, { type: 'fileFind' }>,
  mailbox: Mailbox,
): Promise<void> {
  const receivedBytes = desk.partials.receivedBytes({ sessionId, name, sha256, bytes })
  const isThere = async () => {
    const listed = await workspaces.read(sessionId, name)
    listed.stream.destroy()
    mailbox.check()
    return listed.bytes === bytes && (await desk.hashes.of(sessionId, name)).sha256 === sha256
  }
  const isComplete = await isThere().catch((error: unknown) => {
    if (error instanceof OrienError && error.code === 'not_found') return false
    throw error
  })
  const found = isComplete ? bytes : receivedBytes
  connection.send({ type: 'fileFound', requestId, receivedBytes: found, isComplete })
}

function problemOf(error: unknown): { code: ErrorCode; detail: string } {
  if (error instanceof OrienError) return { code: error.code, detail: error.message }
  // Another copy of the class, or a bug: the detail could hold a host path.
  const code =
    error instanceof Error && 'code' in error && isErrorCode(error.code) ? error.code : 'internal_error'
  return { code, detail: 'the file could not be handled' }
}
