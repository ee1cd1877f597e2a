import { type Id, makeId, sha256Hex } from '@orien/protocol'
import * as reference from '../model/reference.ts'
import { finalise } from '../model/referenceChain.ts'
import type { Place } from './coordinator.ts'
import type { World } from './world.ts'

/** Something that happens. @returns what is said of it in a history, or null when it could not happen now */
type Event = (world: World) => string | null

const TOOL_LIMITS = { blink: 100, second: 1_001, minute: 60_000 } as const
const TOOL_IDS = Object.keys(TOOL_LIMITS) as (keyof typeof TOOL_LIMITS)[]

/** Enough of a session; what comes after them shows nothing new. */
const MANY_RUNS = 25

const executionIdOf = (session: string, number: number): Id<'execution'> =>
  makeId(
    'execution',
    number,
    Uint8Array.from(Buffer.from(sha256Hex(`${session} ${number}`).slice(0, 20), 'hex')),
  )

const placeOf = ({ chance, coordinator }: World): Place => chance.pick(coordinator.places)
const idOf = ({ model }: Place) => model.id as Id<'session'>

/** An agent sends work, with the voucher that it needs; sometimes the same request once more. */
const submit: Event = (world) => {
  const { chance, clock } = world
  const place = placeOf(world)
  const { model } = place
  if (model.runs.size >= MANY_RUNS) return null
  const tool = world.isSteady ? 'minute' : chance.pick(TOOL_IDS)
  const number = model.runs.size + 1
  const isAgain = number > 1 && chance.below(5) === 0
  const key = `${isAgain ? number - 1 : number}`
  const id = executionIdOf(model.id, number)
  const ask = { key, body: key, execution: id, limitMs: TOOL_LIMITS[tool], maxCostMicros: capOf(world) }
  const known = model.runs.size
  let answer = reference.submit(model, ask, clock.nowMs())
  if (answer.is === 'refused' && answer.requiredMicros !== undefined)
    answer = reference.submit(model, { ...ask, voucherMicros: answer.requiredMicros }, clock.nowMs())
  if (model.runs.size > known) {
    place.tools.set(id, tool)
    place.acceptedMs.set(id, clock.monotonicMs())
    if (world.line) world.coordinator.dispatch(world.line, place)
  }
  return `${model.id} submits ${tool}: ${answer.is === 'accepted' ? answer.execution : answer.code}`
}

const capOf = ({ chance }: World): bigint | undefined =>
  chance.pick([undefined, undefined, undefined, 1n, 700n, 5_000n])

const toCoordinator: Event = (world) => {
  const { line } = world
  const message = line?.toCoordinator.shift()
  if (!line || !message) return null
  world.coordinator.hear(line, message)
  return `the coordinator hears ${message.type}`
}

const toNode: Event = ({ line, node }) => {
  const [message] = line?.toNode ?? []
  if (!line || !node || !message) return null
  node.hear(line)
  return `the node hears ${message.type}`
}

const flush: Event = ({ node }) => {
  if (!node || node.journal.waiting() === 0) return null
  node.journal.flush()
  return 'the journal is written'
}

const nextTimer: Event = ({ clock }) => {
  const inMs = clock.nextInMs()
  if (inMs === null) return null
  clock.advance(inMs)
  return `${inMs} ms pass`
}

const shortTime: Event = ({ clock, chance }) => {
  const ms = chance.pick([1, 17, 250, 3_000, 10_000])
  clock.advance(ms)
  return `${ms} ms pass`
}

/** Longer than any lease. */
const longTime: Event = ({ clock, chance }) => {
  if (chance.below(6) > 0) return null
  clock.advance(17 * 60_000)
  return 'a quarter of an hour passes'
}

const cut: Event = (world) => {
  if (!world.line) return null
  world.cut()
  return 'the connection is cut'
}

const connect: Event = (world) => {
  if (world.line || !world.node?.isReady()) return null
  world.connect()
  return 'the node connects'
}

const crash: Event = (world) => {
  const { node, chance } = world
  if (!node) return null
  const arrived = chance.below(node.journal.waiting() + 1)
  node.crash(arrived)
  world.node = null
  world.cut()
  return `the node is killed; ${arrived} of its lines had reached the disk`
}

const start: Event = (world) => {
  if (world.node) return null
  world.startNode()
  return 'the node starts'
}

/** The next block that matters; work that waited for the deposit goes out. */
const block: Event = (world) => {
  const place = placeOf(world)
  const [planned] = place.model.planned
  if (!planned) return null
  finalise(place.model)
  if (world.line && place.model.status === 'settled')
    world.line.sendToNode({ type: 'forgetSession', sessionId: idOf(place) })
  if (world.line) world.coordinator.dispatch(world.line, place)
  return `${planned.kind} of ${place.model.id} is final`
}

const sweep: Event = (world) => {
  world.coordinator.sweep(world.line)
  return 'the coordinator sweeps'
}

const cancel: Event = (world) => {
  const open = reference.openRuns(placeOf(world).model)
  if (!world.line || open.length === 0) return null
  const { id } = world.chance.pick(open)
  world.line.sendToNode({ type: 'cancel', executionId: id as Id<'execution'> })
  return `${id} is cancelled`
}

const end: Event = (world) => {
  if (world.chance.below(3) > 0) return null
  const place = placeOf(world)
  if (place.model.status !== 'active') return null
  reference.end(place.model, 'requested')
  world.line?.sendToNode({ type: 'endSession', sessionId: idOf(place) })
  return `${place.model.id} ends`
}

const claim: Event = (world) => {
  const place = placeOf(world)
  const { line } = world
  if (!line || place.model.status !== 'completed' || place.model.channel !== 'open') return null
  world.coordinator.askForClaim(line, place)
  return `the claim of ${place.model.id} is asked for`
}

/** An agent hands in the voucher that it was asked for, or one that covers less. */
const answer: Event = (world) => {
  const { chance, coordinator, line } = world
  const place = placeOf(world)
  const asked = reference.openRuns(place.model).flatMap(({ requestedMicros }) => requestedMicros ?? [])
  if (asked.length === 0) return null
  const voucherMicros = chance.pick(asked) - chance.pick([0n, 0n, 0n, 1n])
  coordinator.answer(line, place, voucherMicros)
  return `${place.model.id} authorises ${voucherMicros}`
}

/** Agents that are asked answer. */
const answerAll: Event = ({ coordinator, line }) => {
  const asked = coordinator.places.flatMap((place) =>
    reference
      .openRuns(place.model)
      .flatMap(({ requestedMicros }) => (requestedMicros === null ? [] : [{ place, requestedMicros }])),
  )
  for (const { place, requestedMicros } of asked) coordinator.answer(line, place, requestedMicros)
  return asked.length > 0 ? 'agents answer' : null
}

const repeat: Event = ({ node }) => {
  node?.repeatUnanswered()
  return node ? 'the node repeats what nobody answered' : null
}

const WEIGHTED: readonly (readonly [number, Event])[] = [
  [10, submit],
  [24, toCoordinator],
  [24, toNode],
  [12, flush],
  [10, nextTimer],
  [4, shortTime],
  [1, longTime],
  [2, cut],
  [6, connect],
  [2, crash],
  [6, start],
  [6, block],
  [2, sweep],
  [2, cancel],
  [1, end],
  [3, claim],
  [8, answer],
  [2, repeat],
]
/** With fewer faults, so that runs last long enough for a next grant. */
const STEADY: readonly (readonly [number, Event])[] = [
  [3, submit],
  [30, toCoordinator],
  [30, toNode],
  [20, flush],
  [30, nextTimer],
  [1, shortTime],
  [1, cut],
  [20, connect],
  [1, crash],
  [20, start],
  [10, block],
  [1, cancel],
  [12, answer],
  [1, repeat],
]
const spread = (weighted: typeof WEIGHTED) =>
  weighted.flatMap(([weight, event]) => Array.from({ length: weight }, () => event))
const [EVENTS, STEADY_EVENTS] = [spread(WEIGHTED), spread(STEADY)]

/** One event that can happen now, chosen by chance. */
export function happen(world: World): string {
  for (;;) {
    const told = world.chance.pick(world.isSteady ? STEADY_EVENTS : EVENTS)(world)
    if (told !== null) return told
  }
}

/** What a world without further faults does by itself. @returns false when there was nothing left to do */
export function heal(world: World): boolean {
  return [start, connect, flush, toNode, toCoordinator, answerAll].some((event) => event(world) !== null)
}

/** Everything that waits for a final block. */
export function mine(world: World): boolean {
  const waiting = world.coordinator.places.filter(({ model }) => model.planned.length > 0)
  for (const { model } of waiting) finalise(model)
  return waiting.length > 0
}
