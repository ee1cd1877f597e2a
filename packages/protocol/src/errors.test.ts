import { describe, expect, it } from 'vitest'
import { ERRORS, type ErrorCode, isErrorCode, OrienError, toProblem } from './errors.ts'
import { OPERATIONS } from './operations/index.ts'
import { STREAMS } from './streams.ts'

const rows = Object.entries(ERRORS) as [ErrorCode, (typeof ERRORS)[ErrorCode]][]

describe('the error table', () => {
  it.each(rows)('%s has a status, a title and a hint that a reader can act on', (code, row) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
    expect(row.status).toBeGreaterThanOrEqual(400)
    expect(row.status).toBeLessThan(600)
    expect(row.title).toMatch(/^[A-Z].*[^.]$/)
    expect(row.hint).toMatch(/^[A-Z].*\.$/)
  })

  it('has a title for each code alone', () => {
    const titles = rows.map(([, row]) => row.title)
    expect(new Set(titles).size).toBe(titles.length)
  })

  it('calls nothing retryable that is the caller’s own mistake', () => {
    const mistakes = rows.filter(([, row]) => [400, 401, 403, 404, 411, 413, 415, 422].includes(row.status))
    expect(mistakes.filter(([, row]) => row.retryable)).toEqual([])
  })

  it('has every code that an operation or a stream names', () => {
    const named = [...OPERATIONS, ...STREAMS].flatMap(({ errors }) => errors)
    expect(named.filter((code) => !isErrorCode(code))).toEqual([])
  })

  it('has the codes that outside callers rely on, at their status', () => {
    expect(
      Object.fromEntries(
        (
          [
            'validation_failed',
            'unauthorized',
            'forbidden',
            'not_found',
            'idempotency_conflict',
            'insufficient_funds',
            'budget_exhausted',
            'payment_required',
            'voucher_required',
            'session_not_active',
            'provider_offline',
            'tool_not_offered',
            'rate_limited',
            'payload_too_large',
          ] as const
        ).map((code) => [code, ERRORS[code].status]),
      ),
    ).toEqual({
      validation_failed: 400,
      unauthorized: 401,
      forbidden: 403,
      not_found: 404,
      idempotency_conflict: 409,
      insufficient_funds: 402,
      budget_exhausted: 402,
      payment_required: 402,
      voucher_required: 402,
      session_not_active: 409,
      provider_offline: 409,
      tool_not_offered: 409,
      rate_limited: 429,
      payload_too_large: 413,
    })
  })
})

describe('an operating error', () => {
  it('becomes a problem document with its facts', () => {
    const error = new OrienError('voucher_required', 'sign more', { requiredCumulativeMicros: '15000' })
    expect(toProblem(error, 'req_1')).toEqual({
      type: '/docs/errors/voucher_required',
      title: 'A higher voucher is needed',
      status: 402,
      code: 'voucher_required',
      detail: 'sign more',
      hint: ERRORS.voucher_required.hint,
      retryable: false,
      requestId: 'req_1',
      requiredCumulativeMicros: '15000',
    })
  })

  it('says its title when there is nothing more to say', () => {
    expect(toProblem(new OrienError('not_found'), 'req_1').detail).toBe(ERRORS.not_found.title)
  })

  it('with a hint of its own gives that one, and the table’s for anything that is not a sentence', () => {
    const hintOf = (hint: unknown) =>
      toProblem(new OrienError('setup_failed', 'no blender', { hint }), 'req_1').hint
    expect(hintOf('Install the program.')).toBe('Install the program.')
    for (const other of [undefined, null, 5, ['a']]) expect(hintOf(other)).toBe(ERRORS.setup_failed.hint)
  })

  it('cannot be passed off as another one by its facts', () => {
    const facts = { code: 'internal_error', status: 200, retryable: true, requestId: 'x', type: 'y' }
    expect(toProblem(new OrienError('not_found', undefined, facts), 'req_1')).toMatchObject({
      code: 'not_found',
      status: 404,
      retryable: false,
      requestId: 'req_1',
    })
  })

  it('keeps its cause for the log and out of the answer', () => {
    const error = new OrienError('internal_error', undefined, {}, { cause: new TypeError('secret') })
    expect(error.cause).toBeInstanceOf(TypeError)
    expect(JSON.stringify(toProblem(error, 'req_1'))).not.toContain('secret')
  })

  it('is told by its code, not by names that every object has', () => {
    expect(isErrorCode('not_found')).toBe(true)
    for (const other of ['constructor', 'toString', '__proto__', '', 404, null, undefined]) {
      expect(isErrorCode(other)).toBe(false)
    }
  })
})
