import pc from 'picocolors'
import { expect, test } from 'vitest'
import { verdictLines } from './verdict.ts'

const plain = pc.createColors(false)
const ok = (line: string) => ({ line, ok: true })

test('what was checked is grouped, receipts one by one', () => {
  const lines = [
    'offer',
    'offer.chain',
    'receipts[0].chain',
    'receipts[0].grant',
    'receipts[1].chain',
    'offer.provider',
  ]
  expect(verdictLines({ verdict: 'consistent', lines: lines.map(ok) }, plain)).toEqual([
    '✓ offer  chain provider',
    '✓ receipts[0]  chain grant',
    '✓ receipts[1]  chain',
    '',
    'consistent',
  ])
})

test('a rejected bill shows where it fails, and the first line that does', () => {
  const failure = { line: 'receipts[1].grant', ok: false, detail: 'was spent twice' }
  const lines = [ok('offer'), ok('receipts[1].chain'), failure]
  expect(verdictLines({ verdict: 'rejected', lines, failure }, plain)).toEqual([
    '✓ offer',
    '✗ receipts[1]  chain grant',
    '',
    'rejected: receipts[1].grant was spent twice',
  ])
})
