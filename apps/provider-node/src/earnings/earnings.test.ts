import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { micros, type Receipt } from '@orien/protocol'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../log.ts'
import { createProcessDriver } from '../sandbox/unsandboxed.ts'
import { startWorld, type World } from '../testing/world.ts'
import { openEarnings } from './book.ts'
import type { EarningsLine } from './line.ts'
import { loadEarnings } from './loadEarnings.ts'

// What is tested is what the node does around a tool; development's driver spares each test the proof of a sandbox.
const QUICK = { reconnectMs: 10, reconnectMaxMs: 50, channelWaitMs: 200, channelRetryMs: 20, flushMs: 50 }

let world: World
beforeEach(async () => {
  world = await startWorld({ driver: createProcessDriver(), allowUnisolated: true, timing: QUICK })
})
afterEach(() => world.close())

const sumOf = (receipts: readonly Receipt[]) => receipts.reduce((sum, { costMicros }) => sum + costMicros, 0n)
const sleepy = { tool: 'script', args: { code: 'setTimeout(() => {}, 30)' } }

describe('the book of earnings', () => {
  test('adds up to the receipts, by day, tool and session, with the provider’s share and where it is', async () => {
    const [one, other] = [world.newSession(), world.newSession()]
    const ofOne = [await world.run(one.work()), await world.run(one.work(sleepy))]
    const all = [...ofOne, await world.run(other.work())]
    world.coordinator.send({ type: 'forgetSession', sessionId: other.sessionId })
    if (other.state) other.state.finalized = true
    await world.node.stop()
    const { days, tools, sessions, totals, runs, grossMicros } = await loadEarnings(world.dataDir)
    expect({ runs, grossMicros }).toEqual({ runs: 3, grossMicros: sumOf(all) })
    expect(days.reduce((sum, day) => sum + day.grossMicros, 0n)).toBe(sumOf(all))
    expect(tools.map(({ key, runs: ofTool }) => [key, ofTool]).sort()).toEqual([
      ['echo', 2],
      ['script', 1],
    ])
    const first = sessions.find(({ key }) => key === one.sessionId)
    expect(first).toMatchObject({ state: 'claimable', grossMicros: sumOf(ofOne) })
    expect(totals.claimable).toBe((sumOf(ofOne) * 9n) / 10n)
    expect(sessions.find(({ key }) => key === other.sessionId)?.state).not.toBe('claimable')
  })

  test('calls paid what was claimed of a session that goes on, and claimable the rest', async () => {
    const session = world.newSession()
    const { costMicros } = await world.run(session.work())
    await world.node.stop()
    const book = await openEarnings(world.dataDir, silentLog)
    const at = '2026-06-01T00:00:00.000Z'
    for (const settledMicros of [micros(100n), micros(200n)])
      book.note({ t: 'claimed', at, sessionId: session.sessionId, settledMicros })
    await book.close()
    const { totals } = await loadEarnings(world.dataDir)
    expect(totals).toMatchObject({ paid: 180n, claimable: (costMicros * 9n) / 10n - 180n })
  })

  test('has each run once, also after a crash between its receipt and its line', async () => {
    world.coordinator.acknowledges = false
    const receipt = await world.run(world.newSession().work())
    await world.node.stop()
    const [day = ''] = await readdir(join(world.dataDir, 'earnings'))
    await rm(join(world.dataDir, 'earnings', day))
    await world.restart()
    await world.restart()
    await world.node.stop()
    expect(await loadEarnings(world.dataDir)).toMatchObject({ runs: 1, grossMicros: receipt.costMicros })
  })

  test('is read over what a crash has cut off, and forgets its oldest days', async () => {
    await world.run(world.newSession().work())
    await world.node.stop()
    const dir = join(world.dataDir, 'earnings')
    const [day = ''] = await readdir(dir)
    await appendFile(join(dir, day), '{"t":"run","at":"20')
    expect(await loadEarnings(world.dataDir)).toMatchObject({ runs: 1 })
    for (let index = 0; index < 405; index += 1) {
      const old = new Date(Date.UTC(2020, 0, 1 + index)).toISOString().slice(0, 10)
      await writeFile(join(dir, `${old}.jsonl`), '')
    }
    await (await openEarnings(world.dataDir, silentLog)).close()
    expect(await readdir(dir)).toHaveLength(400)
    expect(await readFile(join(dir, day), 'utf8')).not.toBe('')
  })
})

test('a disk that takes nothing costs lines of the book, one warning, and no run', async () => {
  await world.node.stop()
  await rm(join(world.dataDir, 'earnings'), { recursive: true, force: true })
  // A file in the directory's place refuses every write, as a full disk does.
  await writeFile(join(world.dataDir, 'earnings'), '')
  const warnings: object[] = []
  const book = await openEarnings(world.dataDir, { ...silentLog, warn: (event) => void warnings.push(event) })
  const { sessionId } = world.newSession()
  const line: EarningsLine = {
    t: 'paid',
    at: '2026-06-01T00:00:00.000Z',
    sessionId,
    settledMicros: micros(1n),
  }
  book.note(line)
  await book.close()
  book.note(line)
  await book.close()
  expect(warnings).toHaveLength(1)
  await rm(join(world.dataDir, 'earnings'))
  await mkdir(join(world.dataDir, 'earnings'))
  book.note(line)
  await book.close()
  expect(await readdir(join(world.dataDir, 'earnings'))).toEqual(['2026-06-01.jsonl'])
})
