import { createAgent } from './agent.ts'
import { findFaults } from './checks.ts'
import { nameOfFault, strike } from './faults.ts'
import type { Point } from './points.ts'
import type { World } from './world.ts'

export type Outcome = {
  point: Point
  /** False when the round was over before the point was reached. */
  hasStruck: boolean
  faults: string[]
  errors: string[]
  durationMs: number
}

export const nameOfPoint = ({ site, nth, fault }: Point): string => `${nameOfFault(fault)} at ${site} #${nth}`

/** One session from nothing to its settlement with one fault in it, and everything that must hold after that. */
export async function runRound(world: World, point: Point, name: string): Promise<Outcome> {
  const startedMs = performance.now()
  const agent = await createAgent(world)
  world.tap.arm(point.site, point.nth, () => strike(world, point.site, point.fault))
  const faults: string[] = []
  try {
    const failure = await agent.work(name).then(
      () => null,
      (error: unknown) => `${error}`,
    )
    if (failure !== null) faults.push(`the agent could not finish: ${failure}`)
    await world.whole()
    faults.push(...(await findFaults(world, agent)))
  } catch (error) {
    faults.push(`${error}`)
  }
  world.tap.disarm()
  const durationMs = performance.now() - startedMs
  return { point, hasStruck: world.tap.hasStruck(), faults, errors: agent.acknowledged.errors, durationMs }
}
