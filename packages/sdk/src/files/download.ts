import { LIMITS, OrienError, type SessionView } from '@orien/protocol'
import type { HttpClient } from '../http/client.ts'
import { retryUntil, withRetries } from '../http/retry.ts'
import { startSha256 } from '../keys/sha256.ts'
import { filePath } from './upload.ts'

type Options = { signal?: AbortSignal | undefined }

/**
 * Reads a file of a session's workspace piece by piece. The last piece is followed by the check: a reader that comes
 * to the end without an error has the file.
 *
 * @throws OrienError `digest_mismatch`, `not_found`, `workspace_path_refused`, …
 */
export async function* downloadPieces(
  http: HttpClient,
  sessionId: SessionView['id'],
  name: string,
  options: Options = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const request = { method: 'GET' as const, path: filePath(sessionId, name), ...options }
  const answer = await withRetries({ repeatable: true, deadlineAtMs: retryUntil(), ...options }, () =>
    http.open(request),
  )
  const expected = answer.headers.get('x-content-sha256')
  const hash = startSha256()
  let received = 0
  for await (const piece of answer.pieces) {
    received += piece.length
    if (received > LIMITS.fileBytes)
      throw new OrienError('payload_too_large', 'the file is larger than files can be')
    hash.update(piece)
    yield piece
  }
  if (hash.finish() !== expected)
    throw new OrienError('digest_mismatch', `"${name}" arrived with another SHA-256`)
}

/** Reads a whole file; see {@link downloadPieces}. */
export async function downloadFile(
  http: HttpClient,
  sessionId: SessionView['id'],
  name: string,
  options: Options = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = []
  for await (const piece of downloadPieces(http, sessionId, name, options)) pieces.push(piece)
  return new Uint8Array(await new Blob(pieces).arrayBuffer())
}
