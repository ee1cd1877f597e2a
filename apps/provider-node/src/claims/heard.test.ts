import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createTestClock } from '../testing/clock.ts'
import { openHeard } from './heard.ts'

const TIMING = { heardKeptMs: 60_000 }
const START = Date.parse('2026-06-01T00:00:00.000Z')
let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orien-heard-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

/** Another process on the same directory, at a later time. */
const openAt = async (ms: number) => {
  const clock = createTestClock(ms)
  return { clock, heard: await openHeard(dir, clock, TIMING) }
}

test('a silence goes on over a restart, but what a new process tries begins with it', async () => {
  const { heard } = await openAt(START)
  heard.look(true)
  await vi.waitFor(async () => expect((await openAt(START + 5_000)).heard.silentMs()).toBe(5_000))
  const { clock, heard: later } = await openAt(START + 7_200_000)
  expect(later.silentMs()).toBe(7_200_000)
  expect(later.aloneMs()).toBe(0)
  await clock.advance(1_000)
  expect(later.aloneMs()).toBe(1_000)
})

test('a word of the coordinator ends the silence', async () => {
  const { clock, heard } = await openAt(START)
  await clock.advance(90_000)
  expect(heard.silentMs()).toBe(90_000)
  heard.look(false)
  expect(heard.silentMs()).toBe(90_000)
  heard.look(true)
  expect([heard.silentMs(), heard.aloneMs()]).toEqual([0, 0])
  // Also on the disk, which is written to beside everything else.
  await vi.waitFor(async () => expect((await openAt(START + 91_000)).heard.silentMs()).toBe(1_000))
})

test.each([
  ['damaged', 'no instant'],
  ['of the future', '2100-01-01T00:00:00.000Z'],
])('a note that is %s makes no silence', async (_, text) => {
  await writeFile(join(dir, 'coordinator.heard'), text)
  expect((await openAt(START)).heard.silentMs()).toBe(0)
})
