import fc from 'fast-check'
import { patienceMs } from '../harness/config.ts'
import { clearBooks, requireAudit, requireSame } from './books.ts'
import { OPERATIONS, type Operation } from './operations.ts'
import * as reference from './reference.ts'
import { type Scene, step } from './step.ts'
import { smallestStep } from './steps.ts'
import { openPlace, startPlace, type World } from './world.ts'

/** Budgets at which the last run of a session gets a remainder, or nothing. */
function budgetOf(rate: bigint, choice: number): bigint {
  const second = (rate * 1_000n + 59_999n) / 60_000n
  const smallest = (rate * 100n + 59_999n) / 60_000n
  const budgets = [
    1n,
    smallest,
    smallest + 1n,
    3n * second + 1n,
    2n * second - 1n,
    100n * second,
    (1n << 63n) - 1n,
  ]
  return budgets[choice % budgets.length] ?? 1n
}

/** Which prices and budgets the sessions of a history have. */
const stages = fc.array(
  fc.record({ provider: fc.nat({ max: 4 }), purse: fc.nat({ max: 6 }), goesInSteps: fc.boolean() }),
  { minLength: 4, maxLength: 4 },
)

/** Opens the sessions of a history and starts all but the last one. */
export async function setStage(
  world: World,
  chosen: readonly { provider: number; purse: number; goesInSteps?: boolean }[],
): Promise<Scene> {
  await clearBooks(world.pool)
  const replica = world.replica()
  const places = []
  for (const [index, { provider: turn, purse, goesInSteps }] of chosen.entries()) {
    const provider = world.providers[turn % world.providers.length]
    const agent = world.agents[index % world.agents.length]
    if (!provider || !agent) continue
    // Only the two largest pay for a run that is long enough to go in steps.
    const stepMicros = goesInSteps ? smallestStep(provider.rate) : null
    const place = await openPlace(
      replica,
      agent,
      provider,
      budgetOf(provider.rate, goesInSteps ? 5 + (purse % 2) : purse),
      stepMicros,
    )
    places.push(place)
    // The last one is left for a history to start.
    if (index === chosen.length - 1) continue
    await startPlace(replica, place)
    reference.start(place.model)
  }
  return { world, replica, places, nowMs: 0, tools: new Map(), receipts: new Map() }
}

type Command = fc.AsyncCommand<object, Scene>

function commandOf(op: Operation): Command {
  return {
    check: () => true,
    run: async (_model, scene) => {
      await step(scene, op)
      await requireSame(
        scene.world.pool,
        scene.places.map(({ model }) => model),
      )
    },
    toString: () =>
      JSON.stringify(op, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
  }
}

const commands = fc.commands(
  OPERATIONS.flatMap(({ weight, arbitrary }) =>
    Array.from({ length: weight }, () => arbitrary.map(commandOf)),
  ),
  { maxCommands: 60, size: 'max' },
)

/** The first two sessions have their deposit already: most that can go wrong goes wrong after it. */
const PRELUDE = [0, 1].flatMap((session): Operation[] => [
  { do: 'submit', session, key: 12, tool: 0, note: '', cap: 'none', voucher: 'needed' },
  { do: 'chain', session, isSuccess: true },
])

/** How many histories, and which: a seed and a path from a failure's message play exactly that one. */
export type Plan = { numRuns: number; seed?: number; path?: string; endOnFailure?: boolean }

/** Enough for every mutant of mutants.ts. */
export const HISTORIES = 25

export async function playHistories(world: World, plan: Plan): Promise<void> {
  const property = fc.asyncProperty(stages, commands, async (chosen, history) => {
    const scene = await setStage(world, chosen)
    for (const operation of PRELUDE) await step(scene, operation)
    await fc.asyncModelRun(() => ({ model: {}, real: scene }), history)
    await step(scene, { do: 'sweep' })
    await requireAudit(world.pool)
  })
  await fc.assert(property, {
    // A failure is shown as far as it was made smaller by then, and a slow machine plays fewer histories.
    interruptAfterTimeLimit: patienceMs(60_000),
    ...plan,
  })
}
