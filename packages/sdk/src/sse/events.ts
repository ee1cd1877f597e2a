import {
  type LogEvent,
  logEvent,
  type MeterEvent,
  meterEvent,
  OrienError,
  type SessionEventRecord,
  sessionEvent,
} from '@orien/protocol'
import type { HttpClient } from '../http/client.ts'
import type { SseMessage } from './parse.ts'
import { readResuming } from './resume.ts'

/** What a session's stream says: numbered events that are never missed, and live messages that may be. */
export type SessionMessage =
  | { kind: 'event'; event: SessionEventRecord }
  | { kind: 'log'; log: LogEvent }
  | { kind: 'meter'; meter: MeterEvent }

/** The JSON of a message. */
export function parseData(message: SseMessage): unknown {
  try {
    return JSON.parse(message.data)
  } catch (cause) {
    throw new OrienError('unreadable', 'an event is not JSON', {}, { cause })
  }
}

function readMessage(message: SseMessage): SessionMessage | null {
  if (message.event === 'log') {
    const log = logEvent.safeParse(parseData(message))
    return log.success ? { kind: 'log', log: log.data } : null
  }
  if (message.event === 'meter') {
    const meter = meterEvent.safeParse(parseData(message))
    return meter.success ? { kind: 'meter', meter: meter.data } : null
  }
  const event = sessionEvent.safeParse(parseData(message))
  // A type that this SDK does not know yet: its number still counts, so it is not skipped silently.
  if (!event.success)
    throw new OrienError('unreadable', `the event "${message.event}" is not known to this SDK`)
  return { kind: 'event', event: event.data }
}

/** Whether an event is the last that can be of importance to a run. */
export function endsRun({ type, data }: SessionEventRecord, executionId: string): boolean {
  const ended = type === 'execution.completed' || type === 'execution.failed' || type === 'execution.disputed'
  return (
    (ended && data.executionId === executionId) || type === 'session.settled' || type === 'session.failed'
  )
}

/** Where to start and when to stop. */
export type FollowOptions = {
  /** The last sequence already seen; 0 for all. */
  after?: number | undefined
  signal?: AbortSignal | undefined
  /** Told at every connection, the first included. */
  onConnect?: () => void
}

/**
 * Everything that happens in a session, in order, each numbered event exactly once over any number of connections.
 * Ends after `session.settled` or `session.failed`.
 *
 * @throws OrienError `unreadable` when the coordinator leaves out a number
 */
export async function* followSession(
  http: HttpClient,
  sessionId: string,
  options: FollowOptions = {},
): AsyncGenerator<SessionMessage, void, undefined> {
  let last = options.after ?? 0
  const path = `/api/sessions/${sessionId}/events`
  const stream = { http, path, lastEventId: () => String(last), signal: options.signal }
  for await (const received of readResuming(stream)) {
    if (received === 'connected') {
      options.onConnect?.()
      continue
    }
    const message = readMessage(received)
    if (message?.kind === 'event') {
      const { sequence, type } = message.event
      if (sequence <= last) continue
      if (sequence > last + 1) {
        throw new OrienError('unreadable', `the coordinator left out event ${last + 1}`, { sequence })
      }
      last = sequence
      yield message
      if (type === 'session.settled' || type === 'session.failed') return
    } else if (message) yield message
  }
}
