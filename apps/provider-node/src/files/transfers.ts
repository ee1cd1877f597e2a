import { createHash } from 'node:crypto'
import {
  type ErrorCode,
  FILE_WINDOW_CHUNKS,
  isErrorCode,
  LIMITS,
  OrienError,
  type ToNode,
} from '@orien/protocol'
import type { Clock } from '../clock.ts'
import { instantOf } from '../clock.ts'
import { NODE_LIMITS, type Timing } from '../limits.ts'
import type { Connection } from '../link/connection.ts'
import { hashFile } from '../run/hashFiles.ts'
import type { Workspaces, WorkspaceUpload } from '../run/workspaces.ts'

export type FileMessage = Extract<
  ToNode,
  { type: 'fileList' | 'fileRead' | 'fileWrite' | 'fileChunk' | 'fileEnd' | 'fileAbort' | 'fileCredit' }
>

/** Files to and from workspaces over one connection; all of it ends with the connection. */
export type Transfers = { handle(message: FileMessage): void }

export type TransfersContext = {
  workspaces: Workspaces
  connection: Connection
  clock: Clock
  timing: Pick<Timing, 'transferIdleMs'>
  /** Whether files of the session may still be touched. */
  isServed(sessionId: string): boolean
}

/** A transfer's mailbox: what the coordinator said about it, in order. */
type Mailbox = { deliver(message: FileMessage | null): void; pendingChunks(): number }

export function createTransfers(context: TransfersContext): Transfers {
  const mailboxes = new Map<number, Mailbox>()
  const { connection } = context
  connection.signal.addEventListener('abort', () => {
    for (const mailbox of mailboxes.values()) mailbox.deliver(null)
  })

  async function converse(requestId: number, work: (next: Next) => Promise<void>): Promise<void> {
    const { mailbox, next } = createMailbox(context)
    mailboxes.set(requestId, mailbox)
    try {
      if (mailboxes.size > NODE_LIMITS.transfers)
        throw new OrienError('overloaded', 'too many transfers at once')
      await work(next)
    } catch (error) {
      connection.send({ type: 'failure', requestId, ...problemOf(error) })
    } finally {
      mailboxes.delete(requestId)
    }
  }

  return {
    handle: (message) => {
      const { requestId } = message
      switch (message.type) {
        case 'fileList':
          return void converse(requestId, () => listFiles(context, message))
        case 'fileRead':
          return void converse(requestId, (next) => sendFile(context, message, next))
        case 'fileWrite':
          return void converse(requestId, (next) => receiveFile(context, message, next))
        default: {
          const mailbox = mailboxes.get(requestId)
          // Ours are bounded by the credits that we gave; a sender that ignores them is not listened to.
          if (mailbox && mailbox.pendingChunks() > 2 * FILE_WINDOW_CHUNKS) return connection.close(1008)
          mailbox?.deliver(message)
        }
      }
    },
  }
}

/** The coordinator's next word; null once the connection is gone. @throws OrienError `timed_out` */
type Next = () => Promise<FileMessage | null>

function createMailbox({ clock, timing }: TransfersContext): { mailbox: Mailbox; next: Next } {
  const waiting: (FileMessage | null)[] = []
  let wake = () => {}
  const mailbox: Mailbox = {
    deliver: (message) => {
      waiting.push(message)
      wake()
    },
    pendingChunks: () => waiting.length,
  }
  const next: Next = async () => {
    if (waiting.length === 0) {
      let isLate = false
      await new Promise<void>((resolve) => {
        const cancel = clock.after(timing.transferIdleMs, () => {
          isLate = true
          resolve()
        })
        wake = () => {
          cancel()
          resolve()
        }
      })
      wake = () => {}
      if (isLate) throw new OrienError('timed_out', 'the transfer stood still')
    }
    return waiting.shift() ?? null
  }
  return { mailbox, next }
}

function problemOf(error: unknown): { code: ErrorCode; detail: string } {
  if (error instanceof OrienError) return { code: error.code, detail: error.message }
  // Another copy of the class, or a bug: the detail could hold a host path.
  const code =
    error instanceof Error && 'code' in error && isErrorCode(error.code) ? error.code : 'internal_error'
  return { code, detail: 'the file could not be handled' }
}

function requireServed({ isServed }: TransfersContext, sessionId: string): void {
  if (!isServed(sessionId))
    throw new OrienError('session_not_active', 'the session is over and its files are gone')
}

async function listFiles(context: TransfersContext, message: Extract<FileMessage, { type: 'fileList' }>) {
  requireServed(context, message.sessionId)
  const files = await context.workspaces.list(message.sessionId)
  const items = files.slice(0, LIMITS.filesListed).map(({ name, bytes, modifiedAtMs }) => ({
    name,
    bytes,
    modifiedAt: instantOf(modifiedAtMs),
  }))
  const { requestId } = message
  await context.connection.inTurn(async () => {
    context.connection.send({ type: 'files', requestId, items })
  })
}

/** The coordinator's credits hold us back where its reader is slow, the socket's room where the network is. */
async function sendFile(
  context: TransfersContext,
  { requestId, sessionId, name }: Extract<FileMessage, { type: 'fileRead' }>,
  next: Next,
): Promise<void> {
  requireServed(context, sessionId)
  const { connection } = context
  // Read twice: the reader is told the hash before the first byte.
  const announced = await hashFile(context.workspaces, sessionId, name)
  const file = await context.workspaces.read(sessionId, name)
  const hash = createHash('sha256')
  let credits: number = FILE_WINDOW_CHUNKS
  let sentBytes = 0
  connection.send({ type: 'fileOpened', requestId, bytes: announced.bytes, sha256: announced.sha256 })
  try {
    for await (const part of chunksOf(file.stream)) {
      while (credits === 0) {
        const word = await next()
        if (!word || word.type === 'fileAbort') return
        if (word.type === 'fileCredit') credits += word.chunks
      }
      credits -= 1
      hash.update(part)
      sentBytes += part.length
      const data = part.toString('base64')
      await connection.inTurn(async () => void connection.send({ type: 'fileChunk', requestId, data }))
    }
  } finally {
    file.stream.destroy()
  }
  const sha256 = hash.digest('hex')
  if (sha256 !== announced.sha256)
    throw new OrienError('digest_mismatch', 'the file changed while it was read')
  connection.send({ type: 'fileEnd', requestId, sha256, bytes: sentBytes })
}

async function* chunksOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const part of stream) {
    for (let at = 0; at < part.length; at += LIMITS.logChunkBytes)
      yield Buffer.from(part.subarray(at, at + LIMITS.logChunkBytes))
  }
}

async function receiveFile(
  context: TransfersContext,
  request: Extract<FileMessage, { type: 'fileWrite' }>,
  next: Next,
): Promise<void> {
  const { requestId, sessionId, name, bytes } = request
  requireServed(context, sessionId)
  if (bytes > LIMITS.fileBytes)
    throw new OrienError('payload_too_large', undefined, { limitBytes: LIMITS.fileBytes })
  const upload = await context.workspaces.write(sessionId, name, bytes)
  try {
    const sha256 = await receiveChunks(context, request, upload, next)
    if (sha256 === null) return await upload.abort()
    await upload.commit()
    context.connection.send({ type: 'fileEnd', requestId, sha256, bytes })
  } catch (error) {
    await upload.abort()
    throw error
  }
}

/** @returns the digest, or null when the sender gave up */
async function receiveChunks(
  { connection }: TransfersContext,
  { requestId, bytes }: Extract<FileMessage, { type: 'fileWrite' }>,
  upload: WorkspaceUpload,
  next: Next,
): Promise<string | null> {
  const hash = createHash('sha256')
  let receivedBytes = 0
  for (;;) {
    const word = await next()
    if (!word || word.type === 'fileAbort') return null
    if (word.type === 'fileChunk') {
      const part = Buffer.from(word.data, 'base64')
      receivedBytes += part.length
      if (receivedBytes > bytes)
        throw new OrienError('digest_mismatch', 'more bytes came than were announced')
      hash.update(part)
      await upload.write(part)
      connection.send({ type: 'fileCredit', requestId, chunks: 1 })
    } else if (word.type === 'fileEnd') {
      const sha256 = hash.digest('hex')
      if (receivedBytes !== bytes || sha256 !== word.sha256)
        throw new OrienError('digest_mismatch', 'the bytes are not the ones that were announced')
      return sha256
    }
  }
}
