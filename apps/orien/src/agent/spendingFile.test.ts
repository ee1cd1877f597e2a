import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fileSpendingRecord } from './spendingFile.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orien-spending-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const fileIn = () => join(dir, 'agent', 'spending.jsonl')

test('what was counted is there for the next command, in a file that nobody else may read', async () => {
  await fileSpendingRecord(fileIn()).add('day 2026-11-23', 70n)
  const next = fileSpendingRecord(fileIn())
  expect(await next.add('day 2026-11-23', 31n)).toBe(101n)
  expect(await next.add('day 2026-11-24', 5n)).toBe(5n)
  expect(await next.add('day 2026-11-23', -200n)).toBe(0n)
  expect((await stat(fileIn())).mode & 0o077).toBe(0)
})

test('commands that count at the same moment never see the same total', async () => {
  const program = `const { fileSpendingRecord } = await import(process.argv[1])
    const record = fileSpendingRecord(process.argv[2])
    const totals = await Promise.all(Array.from({ length: 20 }, () => record.add('session ses_1', 1n)))
    console.log(totals.join(' '))`
  const source = new URL('./spendingFile.ts', import.meta.url).href
  const outputs = await Promise.all(
    [0, 1, 2].map(async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program, source, fileIn()])
      const pieces: string[] = []
      child.stdout.on('data', (piece: Buffer) => pieces.push(piece.toString()))
      await once(child, 'close')
      return pieces.join('').trim().split(' ')
    }),
  )
  expect(
    outputs
      .flat()
      .map(Number)
      .sort((a, b) => a - b),
  ).toEqual(Array.from({ length: 60 }, (_, at) => at + 1))
})

test('a damaged file lifts no cap', async () => {
  await fileSpendingRecord(fileIn()).add('day 2026-11-23', 70n)
  await writeFile(fileIn(), '{"half')
  await expect(fileSpendingRecord(fileIn()).add('day 2026-11-23', 1n)).rejects.toMatchObject({
    code: 'unreadable',
  })
})
