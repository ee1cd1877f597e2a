import { LIMITS, OrienError, type SessionView } from '@orien/protocol'
import type { HttpClient } from '../http/client.ts'
import type { Incoming } from '../http/transport.ts'
import { startSha256 } from '../keys/sha256.ts'
import { keepAtIt, type TransferOptions } from './attempts.ts'
import { filePath } from './upload.ts'

/** The node reads a file once for its hash before its first byte comes. */
const HEAD_MS = 60_000

/** A file on its way, and how much of it is here. */
type Download = {
  http: HttpClient
  path: string
  name: string
  sha256: string | null
  bytes: number
  receivedBytes: number
  answer: Incoming | undefined
}

async function openRest(download: Download, { signal }: TransferOptions): Promise<Incoming> {
  const { http, path, sha256, receivedBytes } = download
  const range = { range: `bytes=${receivedBytes}-`, 'if-range': `"${sha256}"` }
  const headers = receivedBytes > 0 ? range : {}
  const answer = await http.open({ method: 'GET', path, headers, headMs: HEAD_MS, signal })
  const now = answer.headers.get('x-content-sha256')
  if (receivedBytes === 0) {
    download.sha256 = now
    download.bytes = Number(answer.headers.get('content-length') ?? 0)
    return answer
  }
  if (now === sha256) return answer.status === 206 ? answer : skip(answer, receivedBytes)
  await answer.pieces.return(undefined)
  throw new OrienError('digest_mismatch', `"${download.name}" has changed while it was read`)
}

/** For what stands between and does not know ranges. */
function skip(answer: Incoming, bytes: number): Incoming {
  async function* rest(): Incoming['pieces'] {
    let leftBytes = bytes
    for await (const piece of answer.pieces) {
      const skipped = Math.min(leftBytes, piece.length)
      leftBytes -= skipped
      if (skipped < piece.length) yield piece.subarray(skipped)
    }
  }
  return { ...answer, pieces: rest() }
}

/** The next piece; null at the end. What the network loses on the way is asked for again. */
async function nextPiece(
  download: Download,
  options: TransferOptions,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const next = async () => {
    try {
      download.answer ??= await openRest(download, options)
      const { done, value } = await download.answer.pieces.next()
      return { piece: done ? null : value }
    } catch (error) {
      download.answer = undefined
      throw error
    }
  }
  const patience = { ...options, patienceMs: download.http.patienceMs }
  const { piece } = await keepAtIt(patience, () => download.receivedBytes, next)
  return piece
}

/**
 * Reads a file of a session's workspace piece by piece. When a connection, the coordinator or the node is lost on the
 * way it goes on where it stopped, if the file still is the same. The last piece is followed by the check: a reader
 * that comes to the end without an error has the file.
 *
 * @throws OrienError `digest_mismatch`, `not_found`, `workspace_path_refused`, `workspace_gone`, … at once;
 * `provider_offline`, `coordinator_unreachable`, … when there was no headway for as long as a call may take
 * @example
 * for await (const piece of session.downloadPieces('image.png')) await file.write(piece)
 */
export async function* downloadPieces(
  http: HttpClient,
  sessionId: SessionView['id'],
  name: string,
  options: TransferOptions = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const path = filePath(sessionId, name)
  const facts = { sha256: null, bytes: 0, receivedBytes: 0, answer: undefined }
  const download: Download = { http, path, name, ...facts }
  const hash = startSha256()
  try {
    for (;;) {
      const piece = await nextPiece(download, options)
      if (piece === null) break
      download.receivedBytes += piece.length
      if (download.receivedBytes > LIMITS.fileBytes)
        throw new OrienError('payload_too_large', 'the file is larger than files can be')
      hash.update(piece)
      options.onProgress?.({ doneBytes: download.receivedBytes, bytes: download.bytes })
      yield piece
    }
  } finally {
    await download.answer?.pieces.return(undefined)
  }
  if (hash.finish() !== download.sha256)
    throw new OrienError('digest_mismatch', `"${name}" arrived with another SHA-256`)
}

/** Reads a whole file into memory; see {@link downloadPieces}. */
export async function downloadFile(
  http: HttpClient,
  sessionId: SessionView['id'],
  name: string,
  options: TransferOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = []
  for await (const piece of downloadPieces(http, sessionId, name, options)) pieces.push(piece)
  return new Uint8Array(await new Blob(pieces).arrayBuffer())
}
