import { invariant } from '@orien/protocol'

/**
 * Lets as many tasks run at once as there are slots, and serves sessions in turn: one that queues a thousand runs
 * delays another session's next run by one run, not by a thousand.
 */
export type Scheduler = {
  /** Starts the task when its turn comes. */
  enqueue(sessionId: string, id: string, task: () => Promise<void>): void
  /** Takes a task out again. @returns false when it has started, or was never there */
  remove(sessionId: string, id: string): boolean
  counts(): { running: number; queued: number }
}

type Waiting = { id: string; task: () => Promise<void> }

/** @param slots tasks that run at once */
export function createScheduler(slots: number): Scheduler {
  invariant(slots >= 1, 'a scheduler has a slot')
  // A Map keeps its insertion order: the session at the front is the next to be served.
  const waiting = new Map<string, Waiting[]>()
  let running = 0
  let queued = 0

  function takeNext(): Waiting | undefined {
    const [front] = waiting
    if (!front) return undefined
    const [sessionId, list] = front
    const next = list.shift()
    waiting.delete(sessionId)
    if (list.length > 0) waiting.set(sessionId, list)
    queued -= 1
    return next
  }

  async function runOne({ task }: Waiting): Promise<void> {
    try {
      await task()
    } finally {
      running -= 1
      fill()
    }
  }

  function fill(): void {
    while (running < slots && queued > 0) {
      const next = takeNext()
      invariant(next, 'what is queued can be taken')
      running += 1
      void runOne(next)
    }
  }

  return {
    enqueue: (sessionId, id, task) => {
      const list = waiting.get(sessionId) ?? []
      list.push({ id, task })
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
    counts: () => ({ running, queued }),
  }
}
