import { END_TYPE, type ExecutionView, getExecution, logEvent, OrienError } from '@orien/protocol'
import type { HttpClient } from '../http/client.ts'
import { isFinished } from '../session/state.ts'
import { parseData } from '../sse/events.ts'
import { readResuming } from '../sse/resume.ts'

/** A piece of a run's output. */
export type LogPiece = {
  stream: 'stdout' | 'stderr'
  bytes: Uint8Array
  /** The bytes as text; a character that is cut between two pieces of a stream comes whole with the later one. */
  text: string
  /** Bytes of all output, of both streams, before this piece. */
  offset: number
}

function decodeBase64(data: string): Uint8Array {
  return Uint8Array.from(atob(data), (char) => char.charCodeAt(0))
}

/** Drops what was already delivered of a piece; null when that is all of it. */
function unseen(
  bytes: Uint8Array,
  offset: number,
  seen: number,
): { bytes: Uint8Array; offset: number } | null {
  if (offset >= seen) return { bytes, offset }
  if (offset + bytes.length <= seen) return null
  return { bytes: bytes.subarray(seen - offset), offset: seen }
}

/**
 * The output of a run from its first byte, or from `after`, in the order it was delivered, each byte once. Ends when
 * the run has ended and all of it was read.
 *
 * @throws OrienError `unreadable` when bytes are left out
 */
export async function* readLogs(
  http: HttpClient,
  id: ExecutionView['id'],
  options: { after?: number; signal?: AbortSignal | undefined } = {},
): AsyncGenerator<LogPiece, void, undefined> {
  let seen = options.after ?? 0
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() }
  const path = `/api/executions/${id}/logs`
  const stream = { http, path, lastEventId: () => String(seen), signal: options.signal }
  let connections = 0
  for await (const received of readResuming(stream)) {
    if (received === 'connected') {
      connections += 1
      // A stream that was cut off may have been complete: then a second connection brings nothing and ends.
      if (connections > 2 && isFinished(await http.call(getExecution, { params: { id } }))) return
      continue
    }
    if (received.event === END_TYPE) return
    if (received.event !== 'log') continue
    const log = logEvent.safeParse(parseData(received))
    if (!log.success)
      throw new OrienError('unreadable', 'a piece of output has another form than this SDK knows')
    const piece = unseen(decodeBase64(log.data.data), log.data.offset, seen)
    if (!piece) continue
    if (piece.offset > seen) throw new OrienError('unreadable', `the coordinator left out output at ${seen}`)
    seen = piece.offset + piece.bytes.length
    connections = 1
    const text = decoders[log.data.stream].decode(piece.bytes, { stream: true })
    yield { stream: log.data.stream, text, ...piece }
  }
}
