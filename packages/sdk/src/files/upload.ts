import { OrienError, type SessionView } from '@orien/protocol'
import type { HttpClient } from '../http/client.ts'
import { retryUntil, withRetries } from '../http/retry.ts'
import { startSha256 } from '../keys/sha256.ts'

/** What can be sent: bytes, text as UTF-8, a Blob (in Node `fs.openAsBlob(path)` sends a file piece by piece), a stream. */
export type FileContent = Uint8Array | string | Blob | ReadableStream<Uint8Array>

/** The path of a workspace file on the coordinator. */
export function filePath(sessionId: SessionView['id'], name: string): string {
  return `/api/sessions/${sessionId}/files/${name.split('/').map(encodeURIComponent).join('/')}`
}

async function toBlob(content: FileContent): Promise<Blob> {
  if (content instanceof Blob) return content
  if (content instanceof ReadableStream)
    return await new Response(content as ReadableStream<Uint8Array<ArrayBuffer>>).blob()
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

/**
 * Writes a file into a session's workspace. Its SHA-256 goes with it, and the one that the provider computed has to
 * come back.
 *
 * @returns size and hash as they were stored
 * @throws OrienError `digest_mismatch`, `workspace_path_refused`, `workspace_full`, `payload_too_large`, …
 */
export async function uploadFile(
  http: HttpClient,
  sessionId: SessionView['id'],
  name: string,
  content: FileContent,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<{ name: string; bytes: number; sha256: string }> {
  const body = await toBlob(content)
  const sha256 = await sha256OfBlob(body)
  const headers = { 'content-type': 'application/octet-stream', 'x-content-sha256': sha256 }
  const request = { method: 'PUT' as const, path: filePath(sessionId, name), headers, body, ...options }
  // Writing the same bytes again changes nothing.
  const retry = { repeatable: true, deadlineAtMs: retryUntil(), ...options }
  const answer = await withRetries(retry, () => http.open(request))
  for await (const _ of answer.pieces) {
    // Read to its end, so that the connection can be used again.
  }
  if (answer.headers.get('x-content-sha256') !== sha256) {
    throw new OrienError('digest_mismatch', 'the provider did not confirm the file’s SHA-256')
  }
  return { name, bytes: body.size, sha256 }
}
