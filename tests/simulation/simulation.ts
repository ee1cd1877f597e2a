import { createHash } from 'node:crypto'
import type { Id } from '@orien/protocol'
import * as reference from '../model/reference.ts'
import { broken } from '../model/rules.ts'
import { happen, heal, mine } from './events.ts'
import type { SimulatedNode } from './node.ts'
import type { DiskFlaw } from './store.ts'
import { settle } from './time.ts'
import { openWorld, type World } from './world.ts'

/** One history that was played to its end. */
export type Played = {
  /** Of everything that happened and everything that was kept. */
  digest: string
  paidRuns: number
  /** Those that cost more than the grant that they began with. */
  longRuns: number
}

/** So long that every lease, retry and patience is over. */
const LONG_MS = 17 * 60_000
const MAX_HEALING = 5_000

/**
 * Plays one history of a seed and checks after each event what must always hold, and at the end, when nothing fails any
 * more, that every run is accounted for once and both sides say the same.
 *
 * @throws Error with the seed and the history's last events when something does not hold
 */
export async function simulate(seed: number, events: number, flaw: DiskFlaw = 'none'): Promise<Played> {
  const world = openWorld(seed, flaw)
  const told: string[] = []
  try {
    await settle()
    for (let event = 0; event < events; event += 1) {
      told.push(happen(world))
      await settle()
      require(world)
    }
    await finish(world)
    requireEnd(world)
  } catch (cause) {
    const last = told.slice(-40).join('\n  ')
    throw new Error(`seed ${seed}, after ${told.length} events: ${String(cause)}\n  ${last}`, { cause })
  }
  const models = world.coordinator.places.map(({ model }) => model)
  const books = [told, world.disk.lines, models.map((model) => model.events)]
  const digest = createHash('sha256').update(JSON.stringify(books)).digest('hex')
  const runs = models.flatMap((model) => [...model.runs.values()])
  const paid = runs.filter(({ costMicros }) => costMicros > 0n)
  return { digest, paidRuns: paid.length, longRuns: paid.filter(isLong).length }
}

/** It cost more than the grant that it began with. */
const isLong = ({ costMicros, earlier: [first] }: reference.Run) =>
  first !== undefined && costMicros > first.holdMicros

/** What holds at any time. */
function require(world: World): void {
  const twice = [...world.starts].filter(([, count]) => count > 1)
  const faults = [
    ...world.coordinator.places.flatMap(({ model }) => broken(model)),
    ...twice.map(([executionId]) => `${executionId} was started twice`),
  ]
  if (faults.length > 0) throw new Error(faults.join('; '))
}

/** No more faults: everything that is under way comes to its end, sessions are ended, claimed and settled. */
async function finish(world: World): Promise<void> {
  await calm(world)
  for (const place of world.coordinator.places) {
    reference.end(place.model, 'requested')
    world.line?.sendToNode({ type: 'endSession', sessionId: place.model.id as Id<'session'> })
  }
  await calm(world)
  for (const place of world.coordinator.places)
    if (world.line && place.model.status === 'completed' && place.model.channel === 'open')
      world.coordinator.askForClaim(world.line, place)
  await calm(world)
}

async function calm(world: World): Promise<void> {
  let idle = 0
  for (let round = 0; round < MAX_HEALING; round += 1) {
    await settle()
    if (heal(world) || mine(world)) continue
    world.coordinator.sweep(world.line)
    if (isCalm(world)) return
    idle += 1
    // Whatever is under way ends by itself; then leases run out.
    world.clock.advance(idle < 50 ? (world.clock.nextInMs() ?? LONG_MS) : LONG_MS)
    world.node?.repeatUnanswered()
  }
  throw new Error('it does not come to rest')
}

function isCalm({ line, node, coordinator }: World): boolean {
  if (!line || !node || line.toNode.length > 0 || node.openRuns() > 0) return false
  return coordinator.places.every(
    ({ model }) =>
      reference.openRuns(model).length === 0 && (isDisputed(model) || untaken(node, model.id).length === 0),
  )
}

const isDisputed = (model: reference.Session) => [...model.runs.values()].some((run) => run.isDisputed)

/** Receipts that the coordinator may still take. */
const untaken = ({ journal }: SimulatedNode, session: string) =>
  [...journal.state.pendingReceipts.values()].filter(
    ({ sessionId, refusal }) => sessionId === session && !refusal?.isFinal,
  )

/** What holds when all is said: every run has an end, and node and coordinator have the same books. */
function requireEnd({ coordinator, node }: World): void {
  for (const { model, receipts } of coordinator.places) {
    if (isDisputed(model)) continue
    const { head } = node?.journal.state.sessions.get(model.id) ?? {}
    const said = [
      ...(head && head.cumulativeMicros !== model.spentMicros
        ? [`the node earned ${head.cumulativeMicros}`]
        : []),
      ...(model.receipts === receipts.size
        ? []
        : [`${receipts.size} receipts were heard, ${model.receipts} taken`]),
      ...(model.status === 'settled' ? [] : [`it is ${model.status}`]),
    ]
    if (said.length > 0) throw new Error(`${model.id}, spent ${model.spentMicros}: ${said.join('; ')}`)
  }
}
