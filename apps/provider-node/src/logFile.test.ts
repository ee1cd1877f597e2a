import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLogFile } from './logFile.ts'

let dir = ''
let path = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orien-log-'))
  path = join(dir, 'node.log')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const lineOf = (index: number) => `${JSON.stringify({ index })}\n`

test('a log never takes more than its bounds, and what is kept is its newest lines, whole and in order', () => {
  const log = openLogFile(path, { bytes: 100, kept: 2 })
  for (let index = 0; index < 1_000; index += 1) log.write(lineOf(index))
  expect(readdirSync(dir).sort()).toEqual(['node.log', 'node.log.1', 'node.log.2'])
  const text = ['node.log.2', 'node.log.1', 'node.log']
    .map((name) => readFileSync(join(dir, name), 'utf8'))
    .join('')
  const indexes = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).index)
  expect(indexes).toEqual(Array.from(indexes, (_, index) => 1_000 - indexes.length + index))
  for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).size).toBeLessThanOrEqual(100)
})

test('its bounds are bytes on the disk, whatever a line is written in', () => {
  const log = openLogFile(path, { bytes: 100, kept: 5 })
  for (let index = 0; index < 20; index += 1) log.write(`${JSON.stringify({ detail: '„größer“ 漢字' })}\n`)
  for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).size).toBeLessThanOrEqual(100)
  expect(readdirSync(dir)).toHaveLength(6)
})

test('a restart goes on in the same file, and only its owner can read it', () => {
  openLogFile(path).write(lineOf(1))
  openLogFile(path).write(lineOf(2))
  expect(readFileSync(path, 'utf8')).toBe(lineOf(1) + lineOf(2))
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('a disk that takes nothing costs lines and never the node, and how many is said afterwards', () => {
  const log = openLogFile(path, { bytes: 50, kept: 5 })
  log.write(lineOf(1))
  // A directory that is gone refuses the next file as a full disk does.
  renameSync(dir, `${dir}-away`)
  for (let index = 2; index < 12; index += 1) log.write(lineOf(index))
  renameSync(`${dir}-away`, dir)
  log.write(lineOf(12))
  log.write(lineOf(13))
  const text = readdirSync(dir)
    .map((name) => readFileSync(join(dir, name), 'utf8'))
    .join('')
  expect(text).toContain('"event":"log.dropped"')
})

test('a place where no file can be is refused when it is opened', () => {
  writeFileSync(join(dir, 'file'), '')
  expect(() => openLogFile(join(dir, 'file', 'node.log'))).toThrow()
})
