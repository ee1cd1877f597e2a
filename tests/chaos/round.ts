import { createAgent } from './agent.ts'
import { hasLostABlock } from './chainHistory.ts'
import { findFaults } from './checks.ts'
import { nameOfFault, strike } from './faults.ts'
import type { Point } from './points.ts'
import type { World } from './world.ts'

export type Outcome = {
  point: Point
  /** False when the round was over before the point was reached. */
  hasStruck: boolean
  faults: string[]
  /** The chain's stand-in lost a block of its own: what was found says nothing of the product. */
  isChainBroken: boolean
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
  const isChainBroken = faults.length > 0 && (await hasLostABlock(world).catch(() => false))
  const { errors } = agent.acknowledged
  return { point, hasStruck: world.tap.hasStruck(), faults, isChainBroken, errors, durationMs }
}
