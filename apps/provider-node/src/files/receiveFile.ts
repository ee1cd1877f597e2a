import { LIMITS, OrienError } from '@orien/protocol'
import type { TransfersContext } from './context.ts'
import type { FileMessage, Mailbox } from './mailbox.ts'
import { newPartial, type Partial } from './partials.ts'

type WriteRequest = Extract<FileMessage, { type: 'fileWrite' }>

/** How the chunks of one request ended. */
type Ending = 'whole' | 'part' | 'cut off'

/** Takes a file, or a part of one, into a workspace. It shows when all of it is there and its hash is right. */
export async function receiveFile(
  context: TransfersContext,
  request: WriteRequest,
  mailbox: Mailbox,
): Promise<void> {
  const { connection, desk } = context
  const { requestId, fromByte } = request
  checkRequest(request)
  const partial = await openPartial(context, request, mailbox)
  try {
    mailbox.check()
    connection.send({ type: 'fileReady', requestId, receivedBytes: partial.receivedBytes })
    // The coordinator sees the difference and asks its client to begin elsewhere.
    const ending =
      partial.receivedBytes === fromByte ? await receiveChunks(context, request, partial, mailbox) : 'cut off'
    if (ending === 'whole') {
      const sha256 = await commit(context, request, partial)
      connection.send({ type: 'fileEnd', requestId, sha256, bytes: request.bytes })
    } else if (partial.key === null) await partial.upload.abort()
    else {
      desk.partials.park(partial)
      if (ending === 'part') {
        connection.send({ type: 'filePart', requestId, receivedBytes: partial.receivedBytes })
      }
    }
  } catch (error) {
    // Standing still is no fault of the bytes: they may be continued.
    if (error instanceof OrienError && error.code === 'timed_out' && partial.key) desk.partials.park(partial)
    else await desk.partials.discard(partial)
    mailbox.check()
    throw error
  }
}

function checkRequest({ bytes, fromByte, toByte, sha256 }: WriteRequest): void {
  if (bytes > LIMITS.fileBytes)
    throw new OrienError('payload_too_large', undefined, { limitBytes: LIMITS.fileBytes })
  const isWhole = fromByte === 0 && toByte === bytes
  if (fromByte > toByte || toByte > bytes || (sha256 === undefined && !isWhole))
    throw new OrienError('validation_failed', 'a part of a file has its place and the hash of the whole')
}

async function openPartial(
  { workspaces, desk }: TransfersContext,
  { sessionId, name, bytes, sha256, shareBytes }: WriteRequest,
  mailbox: Mailbox,
): Promise<Partial> {
  const open = async () => {
    // Waiting for an earlier transfer to let go, the session may have ended: its workspace must not be made again.
    mailbox.check()
    return workspaces.write(sessionId, name, bytes, shareBytes)
  }
  if (sha256 === undefined) return newPartial(null, await open())
  return desk.partials.take({ sessionId, name, sha256, bytes }, open, () => mailbox.deliver(null))
}

async function receiveChunks(
  { connection }: TransfersContext,
  { requestId, bytes, toByte }: WriteRequest,
  partial: Partial,
  mailbox: Mailbox,
): Promise<Ending> {
  for (;;) {
    const word = await mailbox.next()
    if (!word || word.type === 'fileAbort') return 'cut off'
    if (word.type === 'fileChunk') {
      const part = Buffer.from(word.data, 'base64')
      if (partial.receivedBytes + part.length > toByte)
        throw new OrienError('digest_mismatch', 'more bytes came than were announced')
      await partial.upload.write(part)
      partial.hash.update(part)
      partial.receivedBytes += part.length
      connection.send({ type: 'fileCredit', requestId, chunks: 1 })
    } else if (word.type === 'fileEnd') {
      if (partial.receivedBytes !== toByte)
        throw new OrienError('digest_mismatch', 'fewer bytes came than were announced')
      if (toByte < bytes) return 'part'
      if (partial.hash.copy().digest('hex') === word.sha256) return 'whole'
      throw new OrienError('digest_mismatch', 'the bytes are not the ones that were announced')
    }
  }
}

async function commit(
  { desk }: TransfersContext,
  { sessionId, name, bytes }: WriteRequest,
  partial: Partial,
): Promise<string> {
  const sha256 = partial.hash.digest('hex')
  const stamp = await partial.upload.commit()
  desk.partials.finish(partial)
  desk.hashes.remember(sessionId, name, { bytes, stamp, sha256 })
  return sha256
}
