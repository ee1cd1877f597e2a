import { FILE_WINDOW_CHUNKS, LIMITS, OrienError } from '@orien/protocol'
import type { OpenedFile } from '../run/workspaces.ts'
import type { TransfersContext } from './context.ts'
import type { HashedFile } from './fileHashes.ts'
import type { FileMessage, Mailbox } from './mailbox.ts'

type ReadRequest = Extract<FileMessage, { type: 'fileRead' }>

/** The coordinator's credits hold us back where its reader is slow, the socket's room where the network is. */
export async function sendFile(
  context: TransfersContext,
  request: ReadRequest,
  mailbox: Mailbox,
): Promise<void> {
  const { connection, desk } = context
  const { requestId, sessionId, name } = request
  // Read twice: the reader is told the hash before the first byte.
  const announced = await desk.hashes.of(sessionId, name)
  const fromByte = startOf(request, announced)
  mailbox.check()
  const file = await context.workspaces.read(sessionId, name, fromByte)
  try {
    const { bytes, sha256 } = announced
    connection.send({ type: 'fileOpened', requestId, bytes, sha256, fromByte })
    const isSent = await sendChunks(context, requestId, file, mailbox)
    if (isSent === null) return
    if (isSent !== bytes - fromByte || announced.stamp !== file.stampAtEnd()) {
      desk.hashes.forget(sessionId, name)
      throw new OrienError('digest_mismatch', 'the file changed while it was read')
    }
    connection.send({ type: 'fileEnd', requestId, sha256, bytes: bytes - fromByte })
  } finally {
    file.stream.destroy()
  }
}

function startOf({ fromByte, ifSha256 }: ReadRequest, { bytes, sha256 }: HashedFile): number {
  if (fromByte === 0 || (ifSha256 !== undefined && ifSha256 !== sha256)) return 0
  if (fromByte < bytes) return fromByte
  throw new OrienError('range_not_satisfiable', undefined, { bytes })
}

/** @returns how many bytes went out; null when nobody wants them any more */
async function sendChunks(
  { connection }: TransfersContext,
  requestId: number,
  { stream }: OpenedFile,
  mailbox: Mailbox,
): Promise<number | null> {
  let credits: number = FILE_WINDOW_CHUNKS
  let sentBytes = 0
  for await (const part of chunksOf(stream)) {
    mailbox.check()
    while (credits === 0) {
      const word = await mailbox.next()
      if (!word || word.type === 'fileAbort') return null
      if (word.type === 'fileCredit') credits += word.chunks
    }
    credits -= 1
    sentBytes += part.length
    const data = part.toString('base64')
    if (
      !(await connection.inTurn(async () => void connection.send({ type: 'fileChunk', requestId, data })))
    ) {
      return null
    }
  }
  return sentBytes
}

async function* chunksOf(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const part of stream) {
    for (let at = 0; at < part.length; at += LIMITS.logChunkBytes)
      yield part.subarray(at, at + LIMITS.logChunkBytes)
  }
}
