import { afterAll, beforeAll, expect, test } from 'vitest'
import { reconcile } from './checks.ts'
import { allPoints } from './points.ts'
import { nameOfPoint, runRound } from './round.ts'
import { startWorld, type World } from './world.ts'

/** One of each kind of link; `npm run chaos` has them all. */
const CHOSEN = [
  'kill -9 postgres at pg < record #1',
  'kill -9 postgres at pg < log #1',
  'kill -9 coordinator at pg > commit of move to signed #1',
  'message refuse at coordinator eth_sendRawTransaction > #1',
  'kill -9 node at node > receipt #2',
  'three sessions: kill -9 coordinator at pg < commit of move to signed #1',
  'three sessions: fee spike at pg < commit of plan #1',
  'custodial balance: kill -9 coordinator at pg < commit of move to signed #4',
]

let world: World
beforeAll(async () => {
  world = await startWorld()
}, 240_000)
afterAll(() => world.stop())

test.each(CHOSEN)(
  '%s: every answer stands, nothing is charged twice, the session is settled',
  async (name) => {
    const point = allPoints().find((candidate) => nameOfPoint(candidate) === name)
    expect(point, 'the point exists').toBeDefined()
    if (!point) return
    const { faults, hasStruck } = await runRound(world, point, `test${CHOSEN.indexOf(name)}`)
    expect(faults).toEqual([])
    expect(hasStruck, 'the round came as far as the point').toBe(true)
  },
  180_000,
)

test('after all of it the ledger is what the chain paid', async () => {
  expect(await reconcile(world)).toEqual([])
}, 60_000)
