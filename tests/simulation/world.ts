import { type Id, makeId, sessionSalt, sha256Hex } from '@orien/protocol'
import type { Tool } from '../../apps/provider-node/src/manifest/tools.ts'
import { type Chance, createChance } from '../harness/chance.ts'
import { agentNamed, MANIFEST_HASHES, providerAt, type TestProvider, TOOLS } from '../model/parties.ts'
import * as reference from '../model/reference.ts'
import { type Line, openLine } from './bus.ts'
import { type Place, ReferenceCoordinator } from './coordinator.ts'
import { type SimulatedNode, startSimulatedNode } from './node.ts'
import type { Disk, DiskFlaw } from './store.ts'
import { createSimulatedClock, type SimulatedClock } from './time.ts'

/** One history: a node, a coordinator, and everything between them that can go wrong. */
export type World = {
  chance: Chance
  clock: SimulatedClock
  disk: Disk
  coordinator: ReferenceCoordinator
  node: SimulatedNode | null
  line: Line | null
  startNode: () => void
  connect: () => void
  cut: () => void
  /** How often a tool was started, by execution. */
  starts: Map<string, number>
  /** Little goes wrong, and work goes on for long. */
  isSteady: boolean
}

/** Ten micro-USDC a millisecond, and prices at which rounding bites. */
const RATES = [600_000n, 619_001n, 7n] as const
/** From nothing that a `second` could be paid by to more than a history can spend. */
const BUDGETS = [1n, 25_000n, 10_000_000n, 10_000_000n, 10_000_000n] as const
/** What a step of a session buys; null where long runs have one grant. */
const STEPS_MS = [null, 2_000n, 5_000n, 20_000n] as const

export function openWorld(seed: number, flaw: DiskFlaw): World {
  const chance = createChance(seed)
  const clock = createSimulatedClock()
  const provider = providerAt(chance.pick(RATES))
  const isSteady = chance.below(3) === 0
  const [purses, steps] = isSteady ? [BUDGETS.slice(-1), STEPS_MS.slice(1, 3)] : [BUDGETS, STEPS_MS]
  const places = [0, 1, 2].map((index) =>
    openPlace(index, provider, { budgetMicros: chance.pick(purses), stepMs: chance.pick(steps) }),
  )
  const starts = new Map<string, number>()
  const world: World = {
    ...{ chance, clock, starts, isSteady },
    disk: { lines: [], output: new Map() },
    coordinator: new ReferenceCoordinator(places, provider, clock),
    node: null,
    line: null,
    startNode: () => {
      const tools = new Map(TOOLS.map((tool) => [tool.id, toolOf(tool)]))
      const onStart = (executionId: string) => starts.set(executionId, (starts.get(executionId) ?? 0) + 1)
      world.node = startSimulatedNode({
        ...{ clock, chance, disk: world.disk, provider, tools, onStart, flaw },
        depositOf: (salt) => {
          const model = places.find((place) => sessionSalt(place.model.id) === salt)?.model
          return model && model.depositMicros > 0n ? model.depositMicros : null
        },
      })
    },
    connect: () => {
      if (!world.node?.isReady() || world.line) return
      const line = openLine()
      world.line = line
      const inHand = world.node.inHand()
      world.node.attach(line)
      world.coordinator.connect(line, inHand)
    },
    cut: () => {
      world.line?.cut()
      world.line = null
    },
  }
  world.startNode()
  return world
}

function openPlace(
  index: number,
  provider: TestProvider,
  { budgetMicros, stepMs }: { budgetMicros: bigint; stepMs: bigint | null },
): Place {
  const bytes = Uint8Array.from(Buffer.from(sha256Hex(`simulated ${index}`).slice(0, 20), 'hex'))
  const id: Id<'session'> = makeId('session', index, bytes)
  const { id: providerId, rate } = provider
  const model = reference.newSession({
    id,
    provider: providerId,
    rate,
    budgetMicros,
    stepMicros: stepMs === null ? null : (rate * stepMs + 59_999n) / 60_000n,
    head: provider.offer.hash,
  })
  reference.start(model)
  const agent = agentNamed(`simulated ${index}`)
  return { model, agent, tools: new Map(), acceptedMs: new Map(), receipts: new Map() }
}

function toolOf(published: (typeof TOOLS)[number]): Tool {
  const manifest = { ...published, executable: '/bin/true', argv: [], readOnlyPaths: [] } as unknown
  const hash = MANIFEST_HASHES.get(published.id) ?? ''
  return {
    manifest: manifest as Tool['manifest'],
    published,
    hash,
    executable: '/bin/true',
    readOnlyPaths: [],
  }
}
