import { findUpload, LIMITS, OrienError, type SessionView } from '@orien/protocol'
import type { HttpClient } from '../http/client.ts'
import { startSha256 } from '../keys/sha256.ts'
import { keepAtIt, type TransferOptions } from './attempts.ts'

/**
 * What can be sent: bytes, text as UTF-8, a Blob (in Node `fs.openAsBlob(path)` sends a file piece by piece), or a
 * stream. A stream is gathered first, because it could not be read a second time; it holds at most
 * {@link STREAM_BYTES}.
 */
export type FileContent = Uint8Array | string | Blob | ReadableStream<Uint8Array>

/** Bytes of a stream that is sent. */
export const STREAM_BYTES = 67_108_864

/** A request carries this much of a file at most: what a cut connection costs is a part of a part. */
const PART_BYTES = 16_777_216

/** What a provider has confirmed. */
export type SentFile = { name: string; bytes: number; sha256: string }

/** The path of a workspace file on the coordinator. */
export function filePath(sessionId: SessionView['id'], name: string): string {
  return `/api/sessions/${sessionId}/files/${name.split('/').map(encodeURIComponent).join('/')}`
}

async function gather(stream: ReadableStream<Uint8Array>): Promise<Blob> {
  const pieces: Uint8Array<ArrayBuffer>[] = []
  let bytes = 0
  const reader = stream.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return new Blob(pieces)
    bytes += value.length
    if (bytes > STREAM_BYTES) {
      await reader.cancel()
      throw new OrienError('payload_too_large', 'a stream of this size has to be sent as a Blob', {
        limitBytes: STREAM_BYTES,
      })
    }
    pieces.push(value as Uint8Array<ArrayBuffer>)
  }
}

async function toBlob(content: FileContent): Promise<Blob> {
  if (content instanceof Blob) return content
  if (content instanceof ReadableStream) return gather(content)
  return new Blob([content as string | Uint8Array<ArrayBuffer>])
}

/** The SHA-256 of a Blob, read piece by piece. */
async function sha256OfBlob(blob: Blob): Promise<string> {
  const hash = startSha256()
  const reader = blob.stream().getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return hash.finish()
    hash.update(value)
  }
}

/** One file on its way, and how much of it is there. */
type Upload = {
  http: HttpClient
  sessionId: SessionView['id']
  name: string
  body: Blob
  sha256: string
  receivedBytes: number
}

/** What is there already; asked after every failure, since its answer may be what was lost. */
async function ask({ http, sessionId, name, body, sha256 }: Upload, { signal }: TransferOptions) {
  const query = { name, sha256, bytes: body.size }
  return http.call(findUpload, { params: { id: sessionId }, query }, { signal })
}

/** Sends the next part. @returns whether it was the last, and is confirmed */
async function sendPart(upload: Upload, { signal }: TransferOptions): Promise<boolean> {
  const { http, sessionId, name, body, sha256, receivedBytes } = upload
  const toByte = Math.min(receivedBytes + PART_BYTES, body.size)
  const isWhole = receivedBytes === 0 && toByte === body.size
  const answer = await http.open({
    method: 'PUT',
    path: filePath(sessionId, name),
    headers: {
      'content-type': 'application/octet-stream',
      'x-content-sha256': sha256,
      ...(isWhole ? {} : { 'content-range': `bytes ${receivedBytes}-${toByte - 1}/${body.size}` }),
    },
    body: isWhole ? body : body.slice(receivedBytes, toByte),
    signal,
  })
  for await (const _ of answer.pieces) {
    // Read to its end, so that the connection can be used again.
  }
  upload.receivedBytes = toByte
  if (answer.status === 202) return false
  if (answer.headers.get('x-content-sha256') === sha256) return true
  throw new OrienError('digest_mismatch', 'the provider did not confirm the file’s SHA-256')
}

/**
 * Writes a file into a session's workspace. Its SHA-256 goes with it, and the one that the provider computed has to
 * come back; until then the file does not show. It is sent in parts of at most 16 MiB, and goes on where it stopped
 * when a connection, the coordinator or the node is lost on the way. Sending a file again that was cut off, even in
 * another process, continues it for as long as the node keeps what has arrived (15 minutes).
 *
 * @returns size in bytes and hash (lower-case hex) as they were stored
 * @throws OrienError `digest_mismatch`, `workspace_path_refused`, `workspace_full`, `workspace_gone`,
 * `payload_too_large`, … at once; `provider_offline`, `coordinator_unreachable`, … when there was no headway for as long as a call may take
 * @example
 * await session.upload('scene.json', await openAsBlob('scene.json'), {
 *   onProgress: ({ doneBytes, bytes }) => console.error(`${doneBytes} of ${bytes}`),
 * })
 */
export async function uploadFile(
  http: HttpClient,
  sessionId: SessionView['id'],
  name: string,
  content: FileContent,
  options: TransferOptions = {},
): Promise<SentFile> {
  const body = await toBlob(content)
  const bytes = body.size
  if (bytes > LIMITS.fileBytes) {
    throw new OrienError('payload_too_large', undefined, { limitBytes: LIMITS.fileBytes })
  }
  const sha256 = await sha256OfBlob(body)
  const upload: Upload = { http, sessionId, name, body, sha256, receivedBytes: 0 }
  // A small file is sent at once: a question first would only cost a round trip.
  let isSure = bytes <= PART_BYTES
  return keepAtIt(
    { ...options, patienceMs: http.patienceMs },
    () => upload.receivedBytes,
    async () => {
      if (!isSure) {
        const found = await ask(upload, options)
        upload.receivedBytes = found.receivedBytes
        options.onProgress?.({ doneBytes: found.receivedBytes, bytes })
        if (found.isComplete) return { name, bytes, sha256 }
      }
      isSure = false
      const isDone = await sendPart(upload, options)
      isSure = true
      options.onProgress?.({ doneBytes: upload.receivedBytes, bytes })
      return isDone ? { name, bytes, sha256 } : undefined
    },
  )
}
