import { OrienError } from '@orien/protocol/errors'
import { readProblem } from './problem.ts'
import { startWatch, type Timeouts, type Watch } from './watch.ts'

/** What the SDK looks at in a `Response`. */
type Answer = {
  ok: boolean
  status: number
  headers: { get: (name: string) => string | null }
  body: { getReader: () => AnswerReader } | null
}

type AnswerReader = {
  read: () => Promise<{ done: boolean; value?: Uint8Array | undefined }>
  cancel: () => Promise<void>
}

/** `fetch` as the SDK uses it. */
export type Fetch = (url: string, init: RequestInit) => Promise<Answer>

/** One request, ready to be sent. */
export type Outgoing = {
  method: string
  url: string
  headers: Record<string, string>
  body?: string | Blob | undefined
}

/** An answer whose head has arrived; its pieces are still guarded by the watch. */
export type Incoming = {
  status: number
  headers: Answer['headers']
  pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined>
}

function lost(error: unknown, watch: Watch): unknown {
  if (watch.signal.aborted) return watch.signal.reason
  return new OrienError('coordinator_unreachable', undefined, {}, { cause: error })
}

async function* readPieces(response: Answer, watch: Watch, idleMs: number) {
  const reader = response.body?.getReader()
  try {
    while (reader) {
      watch.expectWithin(idleMs, 'no further byte')
      const { done, value } = await reader.read()
      if (done) return
      yield value as Uint8Array<ArrayBuffer>
    }
  } catch (error) {
    throw lost(error, watch)
  } finally {
    watch.stop()
    // Closes the connection when the reader leaves early; after the end it does nothing.
    await reader?.cancel().catch(() => undefined)
  }
}

async function readText(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const piece of pieces) text += decoder.decode(piece, { stream: true })
  return text + decoder.decode()
}

/**
 * Sends one request and returns when the head of a good answer is there.
 *
 * @throws OrienError the coordinator's own, `timed_out`, or `coordinator_unreachable` when the network lost it
 */
export async function send(
  fetch: Fetch,
  request: Outgoing,
  timeouts: { connectMs: number; idleMs: number },
  signal?: AbortSignal,
): Promise<Incoming> {
  const watch = startWatch(signal)
  watch.expectWithin(timeouts.connectMs, 'no answer')
  const response = await fetch(request.url, {
    method: request.method,
    headers: request.headers,
    signal: watch.signal,
    // A redirect would carry the bearer token to wherever it points.
    redirect: 'error',
    ...(request.body === undefined ? {} : { body: request.body }),
  }).catch((error: unknown) => {
    watch.stop()
    throw lost(error, watch)
  })
  const pieces = readPieces(response, watch, timeouts.idleMs)
  if (response.ok) return { status: response.status, headers: response.headers, pieces }
  throw readProblem(response.status, await readText(pieces), response.headers.get('retry-after'))
}

/** Sends one request and reads the whole answer as text. */
export async function exchange(
  fetch: Fetch,
  request: Outgoing,
  timeouts: Timeouts,
  signal?: AbortSignal,
): Promise<{ headers: Answer['headers']; text: string }> {
  const { headers, pieces } = await send(fetch, request, timeouts, signal)
  return { headers, text: await readText(pieces) }
}
