import { invariant } from '@orien/protocol'

/** How many tasks run at once, and how many of one session. */
export type Slots = { slots: number; sessionSlots: number }

/**
 * Lets as many tasks run at once as there are slots, and serves sessions in turn: one that queues a thousand runs
 * delays another session's next run by one run, not by a thousand.
 */
export type Scheduler = {
  /** Starts the task when its turn comes. */
  enqueue(sessionId: string, id: string, task: () => Promise<void>): void
  /** Takes a task out again. @returns false when it has started, or was never there */
  remove(sessionId: string, id: string): boolean
  /** What runs goes on; what waits may start at once, or wait for longer. */
  setSlots(slots: Slots): void
  slots(): Slots
  counts(): { running: number; queued: number }
}

type Waiting = { sessionId: string; id: string; task: () => Promise<void> }

/** @param first tasks that run at once */
export function createScheduler(first: number, firstOfSession: number = first): Scheduler {
  // A Map keeps its insertion order: the session at the front is the next to be served.
  const waiting = new Map<string, Waiting[]>()
  const runningOf = new Map<string, number>()
  let { slots, sessionSlots } = checked({ slots: first, sessionSlots: firstOfSession })
  let running = 0
  let queued = 0

  async function runOne({ sessionId, task }: Waiting): Promise<void> {
    running += 1
    runningOf.set(sessionId, (runningOf.get(sessionId) ?? 0) + 1)
    try {
      await task()
    } finally {
      running -= 1
      const left = (runningOf.get(sessionId) ?? 0) - 1
      if (left > 0) runningOf.set(sessionId, left)
      else runningOf.delete(sessionId)
      fill()
    }
  }

  function fill(): void {
    while (running < slots && queued > 0) {
      const next = takeFrom(waiting, (sessionId) => (runningOf.get(sessionId) ?? 0) < sessionSlots)
      if (!next) return
      queued -= 1
      void runOne(next)
    }
  }

  return {
    enqueue: (sessionId, id, task) => {
      const list = waiting.get(sessionId) ?? []
      list.push({ sessionId, id, task })
      waiting.set(sessionId, list)
      queued += 1
      fill()
    },
    remove: (sessionId, id) => {
      const list = waiting.get(sessionId)
      const index = list?.findIndex((entry) => entry.id === id) ?? -1
      if (!list || index === -1) return false
      list.splice(index, 1)
      if (list.length === 0) waiting.delete(sessionId)
      queued -= 1
      return true
    },
    setSlots: (wanted) => {
      ;({ slots, sessionSlots } = checked(wanted))
      fill()
    },
    slots: () => ({ slots, sessionSlots }),
    counts: () => ({ running, queued }),
  }
}

/** The first task of the first session that may run one; its next one goes behind those of all others. */
function takeFrom(
  waiting: Map<string, Waiting[]>,
  mayRun: (sessionId: string) => boolean,
): Waiting | undefined {
  for (const [sessionId, list] of waiting) {
    if (!mayRun(sessionId)) continue
    const next = list.shift()
    waiting.delete(sessionId)
    if (list.length > 0) waiting.set(sessionId, list)
    return next
  }
  return undefined
}

function checked(wanted: Slots): Slots {
  invariant(wanted.slots >= 1 && wanted.sessionSlots >= 1, 'a scheduler has a slot')
  return wanted
}
