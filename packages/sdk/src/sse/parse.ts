import { OrienError } from '@orien/protocol'

/** One server-sent event. */
export type SseMessage = { id: string | undefined; event: string; data: string }

/** A stream that never ends a line must not fill the memory. */
const MAX_BUFFERED_CHARS = 4 * 1_048_576

/**
 * Takes characters, returns complete lines. CR, LF and CRLF end a line; a CR at the end of a piece waits for the next
 * one, because its LF may still come.
 */
function createLineSplitter() {
  let buffer = ''
  return (text: string): string[] => {
    buffer += text
    if (buffer.length > MAX_BUFFERED_CHARS) {
      throw new OrienError('unreadable', 'a line of the event stream is too long', {
        limitChars: MAX_BUFFERED_CHARS,
      })
    }
    const lines = buffer.split(/\r\n|\n|\r(?!$)/)
    buffer = lines.pop() ?? ''
    return lines
  }
}

/** Collects the fields of one message. */
function createCollector() {
  let data: string[] = []
  let event = ''
  let id: string | undefined
  return (line: string): SseMessage | null => {
    if (line === '') {
      const message = data.length > 0 ? { id, event: event || 'message', data: data.join('\n') } : null
      data = []
      event = ''
      id = undefined
      return message
    }
    const colon = line.indexOf(':')
    if (colon === 0) return null
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') data.push(value)
    else if (field === 'event') event = value
    else if (field === 'id' && !value.includes('\0')) id = value
    return null
  }
}

/**
 * Reads server-sent events from bytes, however they were cut on their way. An unfinished message at the end is dropped,
 * as the standard asks. `id` is that of the message itself: what is kept for Last-Event-ID is the reader's business.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export async function* parseSse(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<SseMessage, void, undefined> {
  const decoder = new TextDecoder()
  const split = createLineSplitter()
  const collect = createCollector()
  for await (const piece of pieces) {
    for (const line of split(decoder.decode(piece, { stream: true }))) {
      const message = collect(line)
      if (message) yield message
    }
  }
}
