import type { Clock } from '../clock.ts'
import { createPatience, type Patience } from '../jobs/patience.ts'

/** What is being asked of nodes, and what they have refused. */
export type ClaimDesk = {
  /** By session. */
  patience: Patience
  /** Providers that have as many questions open as they may: whoever is slow holds up nobody else. */
  busy: () => readonly string[]
  /** Sessions whose claims have been asked for and not answered. */
  asking: () => readonly string[]
  /** Remembers a question until `answer` is there. */
  asked: (question: Question, answer: Promise<void>) => void
  /** Resolves when no question is open. */
  closed: () => Promise<void>
}

/** Sessions that end while a provider signs for others are asked for meanwhile. */
const MOST_QUESTIONS = 2

type Question = { providerId: string; sessionIds: readonly string[] }

export function createClaimDesk(clock: Pick<Clock, 'monotonicMs'>): ClaimDesk {
  const open = new Map<Promise<void>, Question>()
  return {
    patience: createPatience(clock),
    busy: () => {
      const questions = Map.groupBy(open.values(), ({ providerId }) => providerId)
      return [...questions].flatMap(([id, asked]) => (asked.length >= MOST_QUESTIONS ? [id] : []))
    },
    asking: () => [...open.values()].flatMap(({ sessionIds }) => sessionIds),
    asked: (question, answer) => {
      const over = answer.finally(() => open.delete(over))
      open.set(over, question)
    },
    closed: async () => void (await Promise.allSettled(open.keys())),
  }
}
