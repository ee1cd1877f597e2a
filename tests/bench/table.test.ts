import { expect, test } from 'vitest'
import { isMet, ratioOf } from './row.ts'
import { type BenchLine, benchTable } from './table.ts'

const result = { value: 4, referenceValue: 2, unit: 'ms' }

test('a target is met from its own side: at most for what should be low, at least for what should be high', () => {
  expect(isMet({ better: 'lower', target: { value: 4 } }, result)).toBe(true)
  expect(isMet({ better: 'lower', target: { value: 3.9 } }, result)).toBe(false)
  expect(isMet({ better: 'higher', target: { value: 4.1 } }, result)).toBe(false)
  expect(isMet({ better: 'higher', target: { value: 4 } }, result)).toBe(true)
  expect(isMet({ better: 'lower', target: { ratio: 0.5 } }, result)).toBe(true)
  expect(isMet({ better: 'lower', target: { ratio: 0.6 } }, result)).toBe(false)
  expect(isMet({ better: 'lower' }, result)).toBeUndefined()
  expect(ratioOf({ better: 'lower' }, result)).toBe(0.5)
})

test('the table shows figure, reference, ratio, target and whether it is met, and a row that failed with its reason', () => {
  const slow: BenchLine = {
    name: 'a',
    reference: 'b',
    better: 'lower',
    target: { value: 3 },
    ratio: 0.5,
    met: false,
    tookSeconds: 1,
    ...result,
  }
  const broken: BenchLine = {
    name: 'c',
    reference: 'd',
    better: 'higher',
    problem: 'no such program',
    tookSeconds: 0,
  }
  const text = benchTable([slow, broken], new Map([['a', { ...slow, value: 8, ratio: 0.25 }]]))
  const [head, first, second] = text.split('\n').map((line) => line.trim().split(/ {2,}/))
  expect(head).toEqual([
    'figure',
    'reference',
    'times better',
    'target',
    'met',
    'earlier',
    'measured against',
  ])
  expect(first).toEqual(['a', '4 ms', '2 ms', '0.5 ×', '≤ 3 ms', 'no', '8 ms, 0.25 ×', 'b'])
  expect(second).toEqual(['c', 'FAILED', 'no such program'])
})
