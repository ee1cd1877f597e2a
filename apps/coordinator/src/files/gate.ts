import { LIMITS, OrienError } from '@orien/protocol'
import type { Clock } from '../clock.ts'

/** Whose transfer it is. */
type Visitor = { sessionId: string; agentId: string }

/** Lets as many transfers go at once as one session, one agent and this process may have; others wait their turn. */
export type Gate = {
  /**
   * Waits for a place. @returns how to leave it, once
   * @throws OrienError `too_many_transfers` when too many wait already, or the wait is too long
   */
  enter: (visitor: Visitor, signal: AbortSignal) => Promise<() => void>
  counts: () => { inside: number; waiting: number }
}

type Waiting = { visitor: Visitor; admit: () => void }

/** Bounds that a test may lower. */
export type GateLimits = {
  [Name in
    | 'sessionTransfers'
    | 'agentTransfers'
    | 'transfers'
    | 'agentWaitingTransfers'
    | 'transferWaitMs']: number
}

export function createGate(clock: Clock, limits: GateLimits = LIMITS): Gate {
  const inside: Visitor[] = []
  const waiting: Waiting[] = []
  const countOf = (all: readonly Visitor[], by: keyof Visitor, visitor: Visitor) =>
    all.filter((other) => other[by] === visitor[by]).length
  const hasPlace = (visitor: Visitor) =>
    inside.length < limits.transfers &&
    countOf(inside, 'agentId', visitor) < limits.agentTransfers &&
    countOf(inside, 'sessionId', visitor) < limits.sessionTransfers
  const admitNext = () => {
    const next = waiting.findIndex(({ visitor }) => hasPlace(visitor))
    if (next !== -1) waiting.splice(next, 1)[0]?.admit()
  }
  const take = (visitor: Visitor): (() => void) => {
    inside.push(visitor)
    let isInside = true
    return () => {
      if (!isInside) return
      isInside = false
      inside.splice(inside.indexOf(visitor), 1)
      admitNext()
    }
  }
  return {
    counts: () => ({ inside: inside.length, waiting: waiting.length }),
    enter: async (visitor, signal) => {
      if (hasPlace(visitor)) return take(visitor)
      const ahead = waiting.map((other) => other.visitor)
      if (countOf(ahead, 'agentId', visitor) >= limits.agentWaitingTransfers)
        throw new OrienError('too_many_transfers', undefined, { limit: limits.agentWaitingTransfers })
      return new Promise((resolve, reject) => {
        const entry: Waiting = {
          visitor,
          admit: () => {
            stopWaiting()
            resolve(take(visitor))
          },
        }
        const giveUp = () => {
          stopWaiting()
          waiting.splice(waiting.indexOf(entry), 1)
          reject(new OrienError('too_many_transfers', 'No transfer of yours ended in time'))
        }
        const cancel = clock.after(limits.transferWaitMs, giveUp)
        function stopWaiting() {
          cancel()
          signal.removeEventListener('abort', giveUp)
        }
        waiting.push(entry)
        signal.addEventListener('abort', giveUp, { once: true })
        if (signal.aborted) giveUp()
      })
    },
  }
}
