import type { Agent } from './agent.ts'
import { hasLostABlock } from './chainHistory.ts'
import { findFaults } from './checks.ts'
import { nameOfFault, strike } from './faults.ts'
import type { Point } from './point.ts'
import { play } from './stories.ts'
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

export const nameOfPoint = ({ site, nth, fault, story }: Point): string =>
  `${story === undefined ? '' : `${story}: `}${nameOfFault(fault)} at ${site} #${nth}`

/** One story from nothing to its settlement with one fault in it, and everything that must hold after that. */
export async function runRound(world: World, point: Point, name: string): Promise<Outcome> {
  const startedMs = performance.now()
  const { site, nth, fault, story = 'one session' } = point
  const begin = () => world.tap.arm(site, nth, () => strike(world, site, fault))
  const faults: string[] = []
  let agents: Agent[] = []
  try {
    agents = await play(story, world, name, begin).catch((error: unknown) => {
      faults.push(`the agent could not finish: ${error}`)
      return []
    })
    await world.whole()
    for (const agent of agents) faults.push(...(await findFaults(world, agent, story)))
  } catch (error) {
    faults.push(`${error}`)
  }
  world.tap.disarm()
  if (fault.kind === 'fee spike') await world.setBaseFee('1')
  const durationMs = performance.now() - startedMs
  const isChainBroken = faults.length > 0 && (await hasLostABlock(world).catch(() => false))
  const errors = agents.flatMap(({ acknowledged }) => acknowledged.errors)
  return { point, hasStruck: world.tap.hasStruck(), faults, isChainBroken, errors, durationMs }
}
