import { type Issue, LIMITS, OrienError } from '@orien/protocol'
import type { z } from 'zod'

/** Text that PostgreSQL cannot store, or that no reader would read the same way. */
const isStorable = (text: string) => !text.includes('\0') && text.isWellFormed()

/**
 * Refuses what no schema asks about: NUL and lone surrogates anywhere, keys included, and JSON that is too deep.
 *
 * @throws OrienError `validation_failed`
 */
export function checkTexture(value: unknown, path: string, depth = 0): void {
  if (depth > LIMITS.jsonDepth) throw invalid(path, `is nested deeper than ${LIMITS.jsonDepth} levels`)
  if (typeof value === 'string') {
    if (!isStorable(value)) throw invalid(path, 'must be valid Unicode without NUL')
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) checkTexture(item, `${path}.${index}`, depth + 1)
  } else if (value !== null && typeof value === 'object') {
    for (const [key, member] of Object.entries(value)) {
      if (!isStorable(key)) throw invalid(path, 'has a name that is not valid Unicode without NUL')
      checkTexture(member, `${path}.${key.slice(0, 60)}`, depth + 1)
    }
  }
}

function invalid(path: string, message: string): OrienError {
  return new OrienError('validation_failed', `${path.slice(0, 200)} ${message}`, {
    issues: [{ path: path.slice(0, 200), message }],
  })
}

const MAX_ISSUES = 50

/**
 * Reads one part of a request by its schema.
 *
 * @throws OrienError `validation_failed` with every issue
 */
export function readPart(
  place: 'params' | 'query' | 'body',
  schema: z.ZodType | undefined,
  value: unknown,
): unknown {
  if (!schema) return undefined
  checkTexture(value, place)
  const parsed = schema.safeDecode(value)
  if (parsed.success) return parsed.data
  const issues: Issue[] = parsed.error.issues.slice(0, MAX_ISSUES).map((issue) => ({
    path: [place, ...issue.path].join('.').slice(0, 200),
    message: issue.message.slice(0, 300),
  }))
  const first = issues[0]
  throw new OrienError('validation_failed', first ? `${first.path}: ${first.message}` : undefined, { issues })
}

/** @throws OrienError `validation_failed` for a key that is empty, too long or not printable ASCII */
export function readIdempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  if (typeof header === 'string' && /^[\x21-\x7e]{1,200}$/.test(header)) return header
  throw new OrienError('validation_failed', 'Idempotency-Key must be 1 to 200 printable ASCII characters', {
    issues: [{ path: 'headers.idempotency-key', message: 'must be 1 to 200 printable ASCII characters' }],
  })
}

/** `Prefer: wait=N` (RFC 7240) in milliseconds; 0 when absent or not understood, as the RFC has it. */
export function readWaitMs(header: string | string[] | undefined): number {
  const match = /(?:^|[,;]\s*)wait(?:\s*=\s*"?(\d{1,6})"?)?(?:$|[\s,;])/.exec(String(header ?? ''))
  if (!match) return 0
  return match[1] === undefined ? LIMITS.waitMs : Math.min(Number(match[1]) * 1_000, LIMITS.waitMs)
}

/** `Last-Event-ID` of a numbered stream. @throws OrienError `validation_failed` unless it is one of ours */
export function readLastEventId(header: string | string[] | undefined): number {
  if (header === undefined || header === '') return 0
  if (typeof header === 'string' && /^\d{1,15}$/.test(header)) return Number(header)
  throw new OrienError('validation_failed', 'Last-Event-ID must be an id of this stream', {
    issues: [{ path: 'headers.last-event-id', message: 'must be an id of this stream' }],
  })
}
