import { createPool } from '@orien/coordinator'
import { expect } from 'vitest'
import { recordReceipt } from '../../apps/coordinator/src/metering/record.ts'
import { createChance } from '../harness/chance.ts'
import { endLease } from '../harness/leases.ts'
import { clearBooks, requireAudit, requireSame } from './books.ts'
import { actAsAgent, askFor, type Crowd, insist, type NodeSide, nodeSideOf, reportRuns } from './crowd.ts'
import { startCutter } from './cutter.ts'
import type { Operation } from './operations.ts'
import * as reference from './reference.ts'
import { replayAll } from './replay.ts'
import type { Replica } from './replica.ts'
import { type Scene, step } from './step.ts'
import { openPlace, type Place, startPlace, type World } from './world.ts'

const AGENTS = 4
const OPERATIONS = 10
/** Of the messages to the database, one in so many meets its fate. */
const CUT_EVERY = 25
/** Five runs of a second and a remainder: requests compete for what another one has just freed. */
const PURSE = 5n * 10_010n + 1n

const sceneOf = (world: World, replica: Replica, places: readonly Place[]): Scene => {
  return { world, replica, places, nowMs: 0, tools: new Map(), receipts: new Map() }
}

/** Sessions with their deposit and one run, before anything is cut. */
async function openPlaces(world: World, replica: Replica): Promise<Place[]> {
  const provider = world.providers[3]
  const places: Place[] = []
  for (const agent of provider ? world.agents : []) {
    const place = await openPlace(replica, agent, provider as never, PURSE)
    await startPlace(replica, place)
    reference.start(place.model)
    const scene = sceneOf(world, replica, [place])
    const first = {
      do: 'submit',
      session: 0,
      key: 0,
      tool: 0,
      note: '',
      cap: 'none',
      voucher: 'needed',
    } as const
    for (const operation of [first, { do: 'chain', session: 0, isSuccess: true }] as Operation[])
      await step(scene, operation)
    places.push(place)
  }
  return places
}

async function playTogether(crowd: Crowd, nodes: readonly NodeSide[]): Promise<void> {
  let isOver = false
  const agents = Promise.all(Array.from({ length: AGENTS }, () => actAsAgent(crowd, OPERATIONS))).finally(
    () => {
      isOver = true
    },
  )
  const work = async (node: NodeSide) => {
    while (!isOver) {
      await reportRuns(crowd, node, 40)
      // Another turn of the loop, and of the database.
      await insist(crowd, ({ ctx }) => ctx.db.pool.query('select 1'))
    }
  }
  await Promise.all([agents, ...nodes.map(work)])
}

/** What a cut swallowed is sent again, and what nobody reports is given up; some of it is reported after that. */
async function finish(crowd: Crowd, world: World, nodes: readonly NodeSide[]): Promise<void> {
  const [replica] = crowd.replicas
  if (!replica) return
  const reportAll = async () => {
    for (const node of nodes) await reportRuns(crowd, node, 40)
  }
  if (crowd.chance.below(2) > 0) await reportAll()
  for (const { id } of world.providers) await replica.ctx.dispatcher.send({ providerId: id, pendingForMs: 0 })
  if (crowd.chance.below(2) > 0) await reportAll()
  await endLease(world.pool, '1 second')
  await step(sceneOf(world, replica, []), { do: 'sweep' })
  await reportAll()
}

/** Whatever was answered is answered again, and nothing moves by it. */
async function requireAnswersStand(crowd: Crowd): Promise<void> {
  for (const { asked, answer } of crowd.seen) expect(await askFor(crowd, asked, undefined)).toBe(answer)
  for (const { jws, answer } of crowd.receipts.values()) {
    const { ctx, recorder } = crowd.chance.pick(crowd.replicas)
    expect(await recordReceipt(ctx, recorder, jws)).toMatchObject({
      accepted: true,
      countersignature: answer,
    })
  }
}

async function judge(crowd: Crowd, world: World): Promise<void> {
  const { places } = crowd
  const models = places.map(({ model }) => model)
  await replayAll(crowd, world.pool)
  await requireSame(world.pool, models)
  await requireAnswersStand(crowd)
  await requireSame(world.pool, models)
  const scene = sceneOf(world, world.replica(), places)
  for (const session of places.keys()) {
    const ending: Operation[] = [
      { do: 'end', session },
      { do: 'claim' },
      { do: 'chain', session, isSuccess: true },
    ]
    for (const operation of ending) await step(scene, operation)
  }
  await step(scene, { do: 'sweep' })
  await requireSame(world.pool, models)
  expect(models.map(({ status }) => status)).toEqual(models.map(() => 'settled'))
  await requireAudit(world.pool)
}

/**
 * One history from a seed: agents and nodes at once, over coordinators whose connections are cut, then settled and
 * judged. The seed decides what is asked and cut; who comes first is up to the machine.
 */
export async function playCrowd(world: World, seed: number): Promise<{ runs: number; cuts: number }> {
  const chance = createChance(seed)
  await clearBooks(world.pool)
  const cutter = await startCutter(world.database.url, chance)
  const pools = [0, 1].map(() => createPool({ url: cutter.url, connections: 4 }))
  try {
    const replicas = pools.map((pool) => world.replica(pool))
    const places = await openPlaces(world, replicas[0] as Replica)
    const crowd: Crowd = { replicas, chance, places, asked: new Map(), seen: [], receipts: new Map() }
    const nodes = places.map(nodeSideOf)
    cutter.cutEvery(CUT_EVERY)
    await playTogether(crowd, nodes)
    cutter.cutEvery(null)
    await cutter.settle()
    await finish(crowd, world, nodes)
    await judge(crowd, world)
    return { runs: places.reduce((sum, { model }) => sum + model.runs.size, 0), cuts: cutter.cuts() }
  } finally {
    await Promise.all(pools.map((pool) => pool.end()))
    await cutter.close()
  }
}
