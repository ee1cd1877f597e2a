import { ERRORS, type ErrorCode, type ErrorFacts, isErrorCode, OrienError } from '@orien/protocol/errors'

const MEMBERS = new Set(['type', 'title', 'code', 'detail', 'hint', 'retryable'])

/** For answers that are not ours: a proxy's page, a load balancer's refusal. */
function codeOfStatus(status: number): ErrorCode {
  switch (status) {
    case 401:
      return 'unauthorized'
    case 403:
      return 'forbidden'
    case 404:
      return 'not_found'
    case 413:
      return 'payload_too_large'
    case 429:
      return 'rate_limited'
    case 502:
    case 503:
    case 504:
      return 'coordinator_unreachable'
    default:
      return 'unreadable'
  }
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

/**
 * Turns the body of a failed answer (RFC 9457) into the error it tells of; further members become its facts,
 * `retryAfterMs` among them when the answer has a Retry-After in seconds.
 */
export function readProblem(status: number, text: string, retryAfter: string | null): OrienError {
  const problem = parseObject(text)
  const wait = retryAfter && /^\d{1,6}$/.test(retryAfter) ? { retryAfterMs: Number(retryAfter) * 1_000 } : {}
  if (!problem || !isErrorCode(problem.code)) {
    return new OrienError(codeOfStatus(status), `the answer was HTTP ${status}`, { status, ...wait })
  }
  const facts = Object.fromEntries(Object.entries(problem).filter(([name]) => !MEMBERS.has(name)))
  // One that is not the table's was written for this occurrence.
  const { code, hint } = problem
  if (typeof hint === 'string' && hint !== ERRORS[code].hint) facts.hint = hint
  const detail = typeof problem.detail === 'string' ? problem.detail : undefined
  return new OrienError(problem.code, detail, { ...facts, ...wait } as ErrorFacts)
}
