import type { Story } from './stories.ts'
import type { Verdict } from './tap.ts'
import type { Setting, Victim, World } from './world.ts'

/** What happens at a point. */
export type Fault =
  | { kind: 'kill'; victims: readonly Victim[] }
  /** The message itself: lost, doubled, late, in the wrong order, its connection cut, or answered by an error. */
  | { kind: 'message'; verdict: Verdict }
  /** The newest blocks of the chain are others, and what was in them is gone; the coordinator may die of it as well. */
  | { kind: 'reorg'; depth: number; isKilled: boolean }
  /** The chain's node forgets what is not mined. */
  | { kind: 'forget' }
  /** Nobody reaches the chain's node, for a while. */
  | { kind: 'rpc down' }
  /** Blocks cost nine times what is offered at first, and come down from there. */
  | { kind: 'fee spike' }
  /** No byte more can be written, for a while. */
  | { kind: 'full disk'; of: 'postgres' | 'node' }

export const nameOfFault = (fault: Fault): string => {
  switch (fault.kind) {
    case 'kill':
      return `kill -9 ${fault.victims.join(' and ')}`
    case 'message':
      return `message ${fault.verdict}`
    case 'reorg':
      return `reorg of ${fault.depth}${fault.isKilled ? ' and kill -9 coordinator' : ''}`
    case 'forget':
      return 'pool forgotten'
    case 'rpc down':
    case 'fee spike':
      return fault.kind
    case 'full disk':
      return `full disk of ${fault.of}`
  }
}

/** The kind of world in which it can happen. */
export function settingOf({ fault, story }: { fault: Fault; story?: Story }): Setting {
  if (fault.kind === 'full disk') return 'small disks'
  const isUnsteady = fault.kind === 'reorg' || fault.kind === 'forget'
  if (story === 'provider gone') return isUnsteady ? 'impatient, unsteady chain' : 'impatient'
  return isUnsteady ? 'unsteady chain' : 'plain'
}

/** Does it, and says what becomes of the message at which it was done. */
export async function strike(world: World, site: string, fault: Fault): Promise<Verdict> {
  switch (fault.kind) {
    case 'kill':
      await world.kill(...fault.victims)
      return isAtEnd(site, fault.victims) ? 'cut' : 'deliver'
    case 'message':
      return fault.verdict
    case 'reorg':
      await world.unsteady?.reorganise(fault.depth)
      if (!fault.isKilled) return 'deliver'
      await world.kill('coordinator')
      return 'cut'
    case 'forget':
      await world.unsteady?.dropPool()
      return 'deliver'
    case 'rpc down':
      world.silenceRpc()
      return 'deliver'
    case 'fee spike':
      await world.setBaseFee('900')
      return 'deliver'
    case 'full disk':
      world.fillDisk(fault.of)
      return 'deliver'
  }
}

/** A message whose sender or receiver is dead goes nowhere. */
function isAtEnd(site: string, victims: readonly Victim[]): boolean {
  const ends: Record<string, readonly Victim[]> = {
    agent: ['coordinator'],
    node: ['coordinator', 'node'],
    journal: ['node'],
    pg: ['coordinator', 'postgres', 'supervisor'],
    coordinator: ['coordinator', 'chain'],
    watcher: ['node', 'chain'],
  }
  const [link = ''] = site.split(' ')
  return victims.some((victim) => ends[link]?.includes(victim))
}
