import type { Verdict } from './tap.ts'
import type { Victim, World } from './world.ts'

/** What happens at a point. */
export type Fault =
  | { kind: 'kill'; victims: readonly Victim[] }
  /** The message itself: lost, doubled, late, in the wrong order, its connection cut, or answered by an error. */
  | { kind: 'message'; verdict: Verdict }

export const nameOfFault = (fault: Fault): string => {
  switch (fault.kind) {
    case 'kill':
      return `kill -9 ${fault.victims.join(' and ')}`
    case 'message':
      return `message ${fault.verdict}`
  }
}

/** Does it, and says what becomes of the message at which it was done. */
export async function strike(world: World, site: string, fault: Fault): Promise<Verdict> {
  switch (fault.kind) {
    case 'kill':
      await world.kill(...fault.victims)
      return isAtEnd(site, fault.victims) ? 'cut' : 'deliver'
    case 'message':
      return fault.verdict
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
