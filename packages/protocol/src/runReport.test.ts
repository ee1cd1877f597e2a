import { expect, test } from 'vitest'
import { fromNode, toNode } from './nodeMessages.ts'
import { readRunReport, readTraceparent } from './runReport.ts'
import { MAX_DURATION_MS } from './time.ts'

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

test.each([
  undefined,
  '',
  PARENT.toUpperCase(),
  PARENT.replace(/^00/, 'ff'),
  `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
  `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
  `${PARENT}-more`,
  [PARENT],
])('a traceparent that is not one counts as absent: %s', (value) => {
  expect(readTraceparent(value)).toBeUndefined()
})

test('a report keeps what it knows and drops what a later version adds', () => {
  const report = { v: 1, queueMs: 0, runMs: 12, traceparent: PARENT }
  expect(readRunReport({ ...report, warmMs: 3 })).toEqual(report)
})

test.each([
  null,
  'report',
  {},
  { v: 2 },
  { v: 1, runMs: -1 },
  { v: 1, runMs: 0.5 },
  { v: 1, runMs: Number.NaN },
  { v: 1, runMs: MAX_DURATION_MS + 1 },
  { v: 1, traceparent: 'x' },
])('a report out of bounds is no report: %j', (value) => {
  expect(readRunReport(value)).toBeNull()
})

test('whatever stands in the place of a report, its receipt is taken', () => {
  const message = { type: 'receipt', executionId: 'exe_00000000000000000000000000', jws: 'a.b.c' } as const
  for (const report of [undefined, null, 7, 'x', { v: 9, runMs: 'long' }]) {
    expect(fromNode.safeDecode({ ...message, report }).success).toBe(true)
  }
})

test('a dispatch names a place in a trace or none, never text', () => {
  const place = toNode.options.find((option) => option.shape.type.value === 'dispatch')?.shape
  expect(place).toHaveProperty('traceparent')
  expect(toNode.safeDecode({ type: 'dispatch', traceparent: 'text' } as never).success).toBe(false)
})
