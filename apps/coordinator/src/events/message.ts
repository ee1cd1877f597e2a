import type { SessionEventRecord } from '@orien/protocol'
import type { BusMessage } from './bus.ts'

/** One message of a server-sent stream. https://html.spec.whatwg.org/multipage/server-sent-events.html */
export type SseMessage = { id?: string; event: string; data: unknown }

/** A message as the bytes that go over the wire. */
export function encodeMessage({ id, event, data }: SseMessage): Buffer {
  const head = id === undefined ? '' : `id: ${id}\n`
  return Buffer.from(`${head}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
}

/** A numbered event of a session's stream: its number is what Last-Event-ID resumes at. */
export function encodeEvent(event: SessionEventRecord): Buffer {
  return encodeMessage({ id: String(event.sequence), event: event.type, data: event })
}

/** A message of a session's stream that may be missed. */
export function encodeEphemeral(message: Exclude<BusMessage, { kind: 'event' }>): Buffer {
  const { executionId } = message
  if (message.kind === 'meter')
    return encodeMessage({ event: 'meter', data: { executionId, effectiveMs: message.effectiveMs } })
  const { stream, offset } = message
  const data = Buffer.from(message.data).toString('base64')
  return encodeMessage({ event: 'log', data: { executionId, stream, offset, data } })
}
