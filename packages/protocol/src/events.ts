import { z } from 'zod'
import { executionId } from './ids.ts'

/**
 * Types of the state changes that take a number in their session's sequence. They are replayed from the database,
 * so a reader that resumes with Last-Event-ID misses none and sees none twice.
 */
export const EVENT_TYPES = [
  'session.created',
  'session.started',
  'session.topped_up',
  'session.ending',
  'session.completed',
  'session.settled',
  'session.failed',
  'execution.accepted',
  'execution.refused',
  'execution.started',
  'execution.extended',
  'execution.completed',
  'execution.failed',
  'execution.disputed',
  'voucher.accepted',
  'voucher.requested',
  'deposit.final',
  'settlement.planned',
  'settlement.broadcast',
  'settlement.mined',
  'settlement.reorged',
  'settlement.final',
] as const
/** See {@link EVENT_TYPES}. */
export const eventType = z.enum(EVENT_TYPES)
/** See {@link EVENT_TYPES}. */
export type EventType = z.output<typeof eventType>

/** A numbered event as it is served; `data` holds wire values only. */
export const sessionEvent = z.strictObject({
  sequence: z.int().positive(),
  type: eventType,
  at: z.iso.datetime(),
  data: z.record(z.string(), z.unknown()),
})
/** See {@link sessionEvent}. */
export type SessionEventRecord = z.output<typeof sessionEvent>

/** Un-numbered messages of the same stream: they may be missed, and change nothing. */
export const EPHEMERAL_TYPES = ['log', 'meter'] as const

/**
 * A piece of output, in both streams as `event: log`. In the stream of an execution its SSE id is the offset after
 * it, so Last-Event-ID resumes at the next byte; in the stream of a session it has no id.
 */
export const logEvent = z.strictObject({
  executionId,
  stream: z.enum(['stdout', 'stderr']),
  /** Bytes of all output before this piece. */
  offset: z.int().min(0),
  /** The bytes, in base64: output need not be text, and a piece may end inside a character. */
  data: z.base64(),
})
/** See {@link logEvent}. */
export type LogEvent = z.output<typeof logEvent>

/** A tick of a running meter, `event: meter` without an id. */
export const meterEvent = z.strictObject({ executionId, effectiveMs: z.int().min(0) })
/** See {@link meterEvent}. */
export type MeterEvent = z.output<typeof meterEvent>

/** The last message of an execution's stream, `event: end`: all output was sent. */
export const END_TYPE = 'end'
