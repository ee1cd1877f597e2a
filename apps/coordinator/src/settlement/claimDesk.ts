import type { Clock } from '../clock.ts'
import { createPatience, type Patience } from '../jobs/patience.ts'

/** What is being asked of nodes, and what they have refused. */
export type ClaimDesk = {
  /** By session. */
  patience: Patience
  /** Providers that have not answered yet: whoever is slow is asked one thing at a time, and holds up nobody else. */
  asking: () => readonly string[]
  /** Remembers a question until `answer` is there. */
  asked: (providerId: string, answer: Promise<void>) => void
  /** Resolves when no question is open. */
  closed: () => Promise<void>
}

export function createClaimDesk(clock: Pick<Clock, 'monotonicMs'>): ClaimDesk {
  const open = new Map<Promise<void>, string>()
  return {
    patience: createPatience(clock),
    asking: () => [...open.values()],
    asked: (providerId, answer) => {
      const over = answer.finally(() => open.delete(over))
      open.set(over, providerId)
    },
    closed: async () => void (await Promise.allSettled(open.keys())),
  }
}
