import { join } from 'node:path'
import { invariant } from '@orien/protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { JOURNAL_PATH, readJournal } from '../journal/journal.ts'
import { createProcessDriver } from '../sandbox/unsandboxed.ts'
import { startWorld, type World } from '../testing/world.ts'
import { partOf } from './standOf.ts'

const QUICK = { reconnectMs: 10, reconnectMaxMs: 50, channelWaitMs: 200, channelRetryMs: 20, flushMs: 50 }
const CLAIM_EVERY_MS = 600_000

let world: World
beforeEach(async () => {
  world = await startWorld({ driver: createProcessDriver(), allowUnisolated: true, timing: QUICK })
})
afterEach(() => world.close())

test('attack: a coordinator answers no receipt, to have nothing claimed; it is waited for as long as claims are put off', async () => {
  const session = world.newSession()
  const first = await world.run(session.work())
  world.coordinator.acknowledges = false
  const second = await world.run(session.work())
  await world.node.stop()
  const state = await readJournal(join(world.dataDir, JOURNAL_PATH))
  const known = state.sessions.get(session.sessionId)
  invariant(known, 'the journal has the session')
  const after = (ms: number) =>
    partOf({ state }, known, { nowMs: Date.parse(second.endedAt) + ms, claimEveryMs: CLAIM_EVERY_MS })
  expect(after(CLAIM_EVERY_MS - 1)).toEqual({
    sumMicros: first.cumulativeMicros,
    receipt: known.agreedReceipt,
  })
  expect(after(CLAIM_EVERY_MS)).toEqual({
    sumMicros: second.cumulativeMicros,
    receipt: known.lastReceipt,
  })
})
